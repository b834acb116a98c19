// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/event_loop.hpp"

#include "base/limits.hpp"

#include <array>
#include <cerrno>
#include <sys/epoll.h>

namespace sanctum::launcher {

Result<EventLoop> EventLoop::create() {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return io_error("event loop: epoll_create1");
    return EventLoop(std::move(epoll));
}

Status EventLoop::watch(int fd, std::uint32_t events, OnReady on_ready) {
    epoll_event wanted{};
    wanted.events = events;
    wanted.data.fd = fd;
    const int operation = watched_.contains(fd) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (::epoll_ctl(epoll_.get(), operation, fd, &wanted) != 0) return io_error("event loop: epoll_ctl");
    watched_[fd] = Watched{++generations_, std::move(on_ready)};
    return {};
}

void EventLoop::forget(int fd) {
    if (watched_.erase(fd) > 0) static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr));
}

Status EventLoop::turn(std::chrono::milliseconds timeout) {
    std::array<epoll_event, kEventsPerTurnMax> ready{};
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()),
                                   static_cast<int>(timeout.count()));
    if (count < 0) return errno == EINTR ? Status{} : io_error("event loop: epoll_wait");
    // What was watched before this turn only: a descriptor number that a callback closed and opened again has events
    // here that belong to the old one.
    const std::uint64_t newest = generations_;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        const auto found = watched_.find(ready[i].data.fd);
        if (found == watched_.end() || found->second.generation > newest) continue;
        const OnReady on_ready = found->second.on_ready;  // a copy: the callback may forget itself
        on_ready(ready[i].events);
    }
    return {};
}

}  // namespace sanctum::launcher
