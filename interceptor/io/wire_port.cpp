// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/wire_port.hpp"

#include "base/limits.hpp"

#include <fcntl.h>

namespace sanctum::interceptor {

WirePort::WirePort(Loop& loop, wire::Channel channel)
    : loop_(loop), channel_(std::move(channel)),
      waits_(loop, UniqueFd(::fcntl(channel_.fd(), F_DUPFD_CLOEXEC, 3))), moved_(loop) {}

net::awaitable<Result<wire::Packet>> WirePort::receive() {
    for (;;) {
        if (!channel_.is_open()) co_return Error{Errc::Cancelled, "wire: closed here"};
        SANCTUM_CO_TRY(std::optional<wire::Packet> packet, channel_.receive());
        if (packet) co_return std::move(*packet);
        SANCTUM_CO_CHECK(co_await waits_.wait(Descriptor::For::Reading));
    }
}

Result<std::uint64_t> WirePort::send_head(std::string head) {
    if (!channel_.is_open() || is_broken_) return Error{Errc::Io, "wire: the other process is gone"};
    if (4 + head.size() > kWireDatagramBytesMax) {
        return Error{Errc::Limit, "wire: message larger than a datagram may be"};
    }
    queued_bytes_ += head.size();
    queue_.push_back(std::move(head));
    ++accepted_;
    if (queued_bytes_ > kRecordQueueBytesMax) {
        SANCTUM_CHECK(flush());
    }
    if (!std::exchange(is_turn_begun_, true)) {
        loop_.post([this, is_here = std::weak_ptr<bool>(is_here_)] {
            if (!is_here.expired()) end_turn();
        });
    }
    return accepted_;
}

void WirePort::end_turn() {
    is_turn_begun_ = false;
    if (is_draining_ || !channel_.is_open()) return;
    const Result<bool> is_empty = send_queued();
    is_broken_ = !is_empty.has_value();
    if (is_broken_) return moved_.notify_all();
    if (*is_empty) return;
    is_draining_ = true;
    loop_.spawn(drain());
}

Result<bool> WirePort::send_queued() {
    while (!queue_.empty()) {
        SANCTUM_TRY(const std::size_t count, channel_.try_send_joined(queue_));
        if (count == 0) return false;
        pop(count);
    }
    return true;
}

void WirePort::pop(std::size_t count) {
    for (; count > 0; --count) {
        queued_bytes_ -= queue_.front().size();
        queue_.pop_front();
        ++sent_;
    }
}

Status WirePort::flush() {
    while (!queue_.empty()) {
        SANCTUM_CHECK(channel_.send_head(queue_.front(), {}, nullptr));
        pop(1);
    }
    moved_.notify_all();
    return {};
}

net::awaitable<void> WirePort::drain() {
    for (;;) {
        const Status waited = co_await waits_.wait(Descriptor::For::Writing);
        if (!waited) break;
        const Result<bool> is_empty = send_queued();
        is_broken_ = !is_empty.has_value();
        moved_.notify_all();
        if (is_broken_ || *is_empty) break;
    }
    is_draining_ = false;
}

net::awaitable<Status> WirePort::wait_sent(std::uint64_t number) {
    if (!is_sent(number)) co_await loop_.yield_turn();
    while (!is_sent(number)) {
        if (is_broken_ || !channel_.is_open()) co_return Error{Errc::Io, "wire: the other process is gone"};
        SANCTUM_CO_CHECK(co_await moved_.wait(kRecordTimeout));
    }
    co_return Status{};
}

void WirePort::close() {
    if (channel_.is_open() && !is_broken_) static_cast<void>(send_queued().has_value());
    channel_.close();
    waits_.close();
    moved_.notify_all();
}

}  // namespace sanctum::interceptor
