// SPDX-License-Identifier: Apache-2.0
// EventLoop: the launcher's one wait (epoll(7)). Small on purpose: no timers of its own, no threads, no queues.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>

namespace sanctum::launcher {

/// Calls back when borrowed descriptors are ready. Callbacks may watch and forget any descriptor, their own included.
class EventLoop {
public:
    using OnReady = std::function<void(std::uint32_t events)>;

    /// Errors: Io.
    [[nodiscard]] static Result<EventLoop> create();

    /// Watches `fd` (level-triggered) for `events` (EPOLLIN, …; EPOLLHUP and EPOLLERR always come).
    /// Errors: Io. Watching a descriptor that is watched replaces its callback.
    [[nodiscard]] Status watch(int fd, std::uint32_t events, OnReady on_ready);

    /// Call before the descriptor is closed. Unknown ones are fine.
    void forget(int fd);

    /// Waits for readiness, at most `timeout` (negative: no end), and calls back once per ready descriptor.
    /// Errors: Io.
    [[nodiscard]] Status turn(std::chrono::milliseconds timeout);

private:
    struct Watched {
        std::uint64_t generation;
        OnReady on_ready;
    };
    explicit EventLoop(UniqueFd epoll) : epoll_(std::move(epoll)) {}

    UniqueFd epoll_;
    std::map<int, Watched> watched_;
    std::uint64_t generations_ = 0;
};

}  // namespace sanctum::launcher
