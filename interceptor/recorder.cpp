// SPDX-License-Identifier: Apache-2.0
#include "interceptor/recorder.hpp"

#include "base/limits.hpp"

namespace sanctum::interceptor {

struct WireRecorder::Waiting {
    explicit Waiting(Loop& loop) : answered(loop) {}
    Event answered;
    bool is_answered = false;
    bool is_recorded = false;
};

WireRecorder::WireRecorder(Loop& loop, WirePort& launcher, std::function<void(const Error&)> on_broken)
    : loop_(loop), launcher_(launcher), on_broken_(std::move(on_broken)), idle_(loop) {}

net::awaitable<Status> WireRecorder::intent(const wire::ExchangeIntent& record) {
    Status handed = co_await hand_over_intent(record);
    if (handed) ++under_way_;
    co_return handed;
}

void WireRecorder::outcome(const wire::ExchangeOutcome& record) {
    hand_over(record);
    if (under_way_ > 0 && --under_way_ == 0) idle_.notify_all();
}

net::awaitable<void> WireRecorder::wait_idle(std::chrono::milliseconds timeout) {
    if (under_way_ == 0) co_return;
    const Status waited = co_await idle_.wait(timeout);
    static_cast<void>(waited.has_value());
}

net::awaitable<Status> WireRecorder::hand_over_intent(const wire::ExchangeIntent& record) {
    if (is_closed_) co_return Error{Errc::Cancelled, "the mission is ending"};
    std::shared_ptr<Waiting> waiting;
    if (record.durable) waiting_[record.exchange] = waiting = std::make_shared<Waiting>(loop_);
    const Result<std::uint64_t> sent = launcher_.send(record);
    if (!sent) {
        waiting_.erase(record.exchange);
        break_off(sent.error());
        co_return sent.error();
    }
    if (!record.durable) {
        co_return co_await launcher_.wait_sent(*sent);
    }
    const Status waited = co_await waiting->answered.wait(kRecordTimeout);
    waiting_.erase(record.exchange);
    // FAIL-CLOSED: an answer that did not come is a record that does not exist.
    if (!waited) co_return Error{Errc::Timeout, "the record was not written in time"};
    if (!waiting->is_answered) co_return Error{Errc::Cancelled, "the mission is ending"};
    if (!waiting->is_recorded) co_return Error{Errc::Io, "the record could not be written"};
    co_return Status{};
}

Status WireRecorder::recorded(const wire::Recorded& message) {
    const auto found = waiting_.find(message.exchange);
    if (found == waiting_.end()) {
        // The wait may have timed out; an exchange that was never begun is a broken launcher.
        if (message.exchange <= last_exchange_) return {};
        return Error{Errc::Protocol, "recorded: no such exchange"};
    }
    found->second->is_answered = true;
    found->second->is_recorded = message.ok;
    found->second->answered.notify_all();
    return {};
}

void WireRecorder::close() {
    is_closed_ = true;
    for (const auto& [exchange, waiting] : waiting_) waiting->answered.notify_all();
}

void WireRecorder::break_off(const Error& error) {
    if (is_closed_) return;
    close();
    on_broken_(error);
}

}  // namespace sanctum::interceptor
