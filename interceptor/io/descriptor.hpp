// SPDX-License-Identifier: Apache-2.0
// Descriptor: a non-blocking file descriptor whose readiness a coroutine can wait for. The only place that knows how
// Boost.Asio waits; everything above does its own system calls and comes here after EAGAIN.
#pragma once

#include "base/unique_fd.hpp"
#include "interceptor/io/loop.hpp"

#include <memory>

namespace sanctum::interceptor {

class Descriptor {
public:
    Descriptor(Loop& loop, UniqueFd fd);
    Descriptor(Descriptor&&) noexcept;
    Descriptor& operator=(Descriptor&&) noexcept;
    ~Descriptor();

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool is_open() const { return fd_ >= 0; }

    enum class For { Reading, Writing };
    /// Completes when the descriptor may be ready. Errors: Cancelled (closed, or waits were cancelled).
    [[nodiscard]] net::awaitable<Status> wait(For what);

    /// Ends pending waits with Cancelled.
    void cancel();
    /// Ends pending waits and closes. Idempotent.
    void close();

private:
    struct Waiter;
    std::unique_ptr<Waiter> waiter_;
    int fd_ = -1;
};

}  // namespace sanctum::interceptor
