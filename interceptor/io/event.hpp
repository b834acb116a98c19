// SPDX-License-Identifier: Apache-2.0
// Event: how one coroutine waits for something that another one of the same loop does.
#pragma once

#include "interceptor/io/loop.hpp"

#include <chrono>
#include <vector>

namespace sanctum::interceptor {

/// Must outlive its waiters. There is no memory: a notification without waiters is lost, so callers look at their
/// condition before they wait and again afterwards.
class Event {
public:
    explicit Event(Loop& loop) : loop_(loop) {}
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    /// Completes at the next notify_all(). Errors: Timeout.
    [[nodiscard]] net::awaitable<Status> wait(std::chrono::milliseconds timeout);
    void notify_all();

private:
    struct Waiter;
    Loop& loop_;
    std::vector<Waiter*> waiters_;
};

}  // namespace sanctum::interceptor
