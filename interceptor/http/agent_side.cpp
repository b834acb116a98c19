// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/agent_side.hpp"

#include "base/limits.hpp"

#include <utility>

namespace sanctum::interceptor {

AgentSide::AgentSide(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {}

net::awaitable<void> AgentSide::receive() {
    while (true) {
        buffer_.release();
        const Status ready = co_await stream_->wait_to_read();
        if (!ready.has_value()) {
            end_with(ready.error());
            co_return;
        }
        const Result<std::size_t> count = co_await stream_->read_some(buffer_.take());
        if (!count.has_value() || *count == 0) {
            end_with(count.has_value() ? Error{Errc::Cancelled, "the agent closed its connection"} : count.error());
            co_return;
        }
        if (is_discarding_) continue;
        filled_ = *count;
        state_ = Buffer::Arrived;
        arrived_.notify();
        co_await lent_.wait();
        if (end_) co_return;
    }
}

void AgentSide::end_with(Error error) {
    if (!end_) end_ = std::move(error);
    arrived_.notify();
    if (on_gone_) std::exchange(on_gone_, nullptr)();
}

void AgentSide::on_gone(std::function<void()> call) {
    on_gone_ = std::move(call);
    if (on_gone_ && end_) std::exchange(on_gone_, nullptr)();
}

/// Gives the buffer back to receive() once every byte of it was used or copied by the decoder.
void AgentSide::lend_buffer() {
    if (state_ != Buffer::Used) return;
    state_ = Buffer::Reading;
    lent_.notify();
}

net::awaitable<Status> AgentSide::wait_for_bytes() {
    lend_buffer();
    while (state_ == Buffer::Reading) {
        if (is_abandoned_) co_return Error{Errc::Cancelled, "the request is not read any further"};
        if (end_) co_return *end_;
        co_await arrived_.wait();
    }
    state_ = Buffer::Used;
    window_bytes_ += filled_;
    decoder_.feed(buffer_.filled(filled_));
    co_return Status{};
}

net::awaitable<Result<std::optional<RequestHead>>> AgentSide::next_request() {
    using Answer = std::optional<RequestHead>;
    is_request_whole_ = false;
    is_abandoned_ = false;
    bool is_head_begun = false;
    while (true) {
        Result<RequestEvent> event = decoder_.next();
        if (!event.has_value()) {
            stream_->clear_deadline();
            co_return std::move(event).error();
        }
        if (auto* head = std::get_if<RequestHead>(&*event)) {
            stream_->clear_deadline();
            co_return Answer(std::move(*head));
        }
        SANCTUM_ASSERT(std::holds_alternative<NeedMore>(*event));
        const bool is_idle = decoder_.is_between_messages() && !decoder_.has_unread();
        if (is_idle) stream_->set_deadline(kAgentIdleTime);
        else if (!std::exchange(is_head_begun, true)) stream_->set_deadline(kHeadTimeout);
        Status status = co_await wait_for_bytes();
        if (status.has_value()) continue;
        if (is_idle) co_return Answer{};
        co_return std::move(status).error();
    }
}

Result<RequestEvent> AgentSide::poll_body() {
    if (is_request_whole_) return RequestEvent(EndOfMessage{});
    Result<RequestEvent> event = decoder_.next();
    if (event.has_value() && std::holds_alternative<EndOfMessage>(*event)) {
        is_request_whole_ = true;
        // From here on a read is under way again, unless the agent has sent the next request already.
        if (!decoder_.has_unread()) lend_buffer();
    }
    return event;
}

net::awaitable<Status> AgentSide::more_body() {
    if (window_bytes_ >= kBodyWindowBytesMin || waits_ == 0) window_bytes_ = 0;
    begin_wait(kBodyWindow);
    Status status = co_await wait_for_bytes();
    end_wait();
    co_return status;
}

void AgentSide::abandon_body() {
    if (is_request_whole_) return;
    is_abandoned_ = true;
    arrived_.notify();
}

net::awaitable<Status> AgentSide::write(std::string_view bytes) {
    begin_wait(kAgentStallTime);
    Status status = co_await stream_->write_all(bytes);
    end_wait();
    co_return status;
}

void AgentSide::begin_wait(std::chrono::milliseconds timeout) {
    ++waits_;
    stream_->set_deadline(timeout);
}

void AgentSide::end_wait() {
    if (--waits_ == 0) stream_->clear_deadline();
}

net::awaitable<void> AgentSide::finish() {
    is_discarding_ = true;
    if (state_ != Buffer::Reading) {
        state_ = Buffer::Reading;
        lent_.notify();
    }
    stream_->clear_deadline();
    co_await stream_->finish();
    close();
}

void AgentSide::close() {
    if (!end_) end_ = Error{Errc::Cancelled, "the connection was closed"};
    on_gone_ = nullptr;
    stream_->close();
    lent_.notify();
    arrived_.notify();
}

}  // namespace sanctum::interceptor
