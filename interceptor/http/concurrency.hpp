// SPDX-License-Identifier: Apache-2.0
// The two tools that coroutines of one connection need: waiting for each other, and running side by side.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace sanctum::interceptor {

namespace net = boost::asio;

/// One waiter, one notifier, on one thread. A notification without a waiter is kept (once) for the next wait().
class Signal {
public:
    Signal();
    ~Signal();
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    /// Completes when notify() was or is called. At most one wait at a time.
    [[nodiscard]] net::awaitable<void> wait();
    /// Resumes the waiter through the executor, never from within this call.
    void notify();

private:
    struct Waiter;
    template <class Handler>
    struct WaiterOf;
    std::unique_ptr<Waiter> waiter_;
    bool is_set_ = false;
};

/// Runs both to their ends on the caller's executor. An exception of either is rethrown after both have ended.
[[nodiscard]] net::awaitable<void> run_both(net::awaitable<void> first, net::awaitable<void> second);

}  // namespace sanctum::interceptor
