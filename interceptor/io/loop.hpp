// SPDX-License-Identifier: Apache-2.0
// Loop: the one thread of the interceptor. Runs coroutines, keeps the deadlines of all streams and can close them all.
#pragma once

#include "base/result.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace sanctum::interceptor {

namespace net = boost::asio;

/// Something open that the loop can end: when its deadline passes, or together with everything else at the end.
class Closable {
public:
    virtual ~Closable() = default;
    virtual void on_deadline() = 0;
    virtual void close_now() = 0;

    using TimePoint = std::chrono::steady_clock::time_point;
    TimePoint deadline = TimePoint::max();
};

/// Single-threaded; everything made with a Loop must be gone before it.
class Loop {
public:
    /// Errors: Io (no epoll, timer or event descriptor). SIGPIPE is ignored from here on: writes report EPIPE.
    [[nodiscard]] static Result<std::unique_ptr<Loop>> create();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    [[nodiscard]] net::io_context& context();

    /// Runs until stop(), or until no coroutine is left. May be called again.
    void run();
    /// Runs what can go on without waiting.
    void run_ready();
    void stop();

    /// Starts a coroutine of its own. What it needs is owned by it or outlives the loop. An exception that escapes
    /// ends only this coroutine and is logged.
    void spawn(net::awaitable<void> work);

    /// Calls `work` once when what is ready now has run.
    void post(std::function<void()> work);
    /// Lets every other ready coroutine run first.
    [[nodiscard]] net::awaitable<void> yield_turn();

    /// Completes after `time`. Errors: Cancelled (the loop was stopped).
    [[nodiscard]] net::awaitable<void> rest(std::chrono::milliseconds time);

    void watch(Closable& closable);
    void unwatch(Closable& closable);
    /// To be called after `closable.deadline` became earlier than it was.
    void deadline_moved(const Closable& closable);

    /// Ends everything whose deadline lies before `now`. The loop does it by itself; a test need not wait.
    void end_overdue(Closable::TimePoint now);
    /// Closes everything that is watched.
    void close_everything();
    [[nodiscard]] std::size_t watched() const;

private:
    struct State;
    explicit Loop(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sanctum::interceptor
