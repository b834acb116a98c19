// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/loop.hpp"

#include "base/log.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>
#include <string>
#include <unordered_set>
#include <vector>

namespace sanctum::interceptor {

struct Loop::State {
    std::unordered_set<Closable*> watched;  // first, so last to go: streams leave it while the context is destroyed
    net::io_context context{1};
    net::steady_timer timer{context};
    Closable::TimePoint timer_at = Closable::TimePoint::max();
    std::size_t coroutines = 0;

    // One timer for all streams, set to the earliest deadline that was seen. Deadlines mostly move to later, which
    // costs nothing: the timer then fires early once, looks, and is set again.
    void arm(Closable::TimePoint at) {
        timer_at = at;
        timer.expires_at(at);
        timer.async_wait([this](const boost::system::error_code& error) {
            if (!error) end_overdue(std::chrono::steady_clock::now());
            else if (coroutines == 0) timer_at = Closable::TimePoint::max();
        });
    }
    void end_overdue(Closable::TimePoint now) {
        timer_at = Closable::TimePoint::max();
        auto next = Closable::TimePoint::max();
        std::vector<Closable*> passed;
        for (Closable* closable : watched) {
            if (closable->deadline <= now) passed.push_back(closable);
            else if (closable->deadline < next) next = closable->deadline;
        }
        for (Closable* closable : passed) {
            // An earlier one may have taken this one with it.
            if (!watched.contains(closable)) continue;
            closable->deadline = Closable::TimePoint::max();
            closable->on_deadline();
        }
        if (next < timer_at) arm(next);
    }
};

Result<std::unique_ptr<Loop>> Loop::create() {
    if (std::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return io_error("loop: ignore SIGPIPE");
    try {
        return std::unique_ptr<Loop>(new Loop(std::make_unique<State>()));
    } catch (const std::exception& problem) {
        return Error{Errc::Io, std::string("loop: ") + problem.what()};
    }
}

Loop::Loop(std::unique_ptr<State> state) : state_(std::move(state)) {}
Loop::~Loop() = default;

net::io_context& Loop::context() { return state_->context; }

void Loop::run() {
    state_->context.restart();
    state_->context.run();
}

void Loop::run_ready() {
    state_->context.restart();
    state_->context.poll();
}

void Loop::stop() { state_->context.stop(); }

void Loop::spawn(net::awaitable<void> work) {
    ++state_->coroutines;
    const auto report = [this](const std::exception_ptr& problem) {
        // The deadline timer alone must not keep run() going.
        if (--state_->coroutines == 0) state_->timer.cancel();
        if (!problem) return;
        try {
            std::rethrow_exception(problem);
        } catch (const std::exception& reason) {
            log::error(std::string("a connection ended by an unexpected error: ") + reason.what());
        }
    };
    net::co_spawn(state_->context, std::move(work), report);
}

void Loop::post(std::function<void()> work) { net::post(state_->context, std::move(work)); }

net::awaitable<void> Loop::yield_turn() { co_await net::post(state_->context, net::use_awaitable); }

net::awaitable<void> Loop::rest(std::chrono::milliseconds time) {
    net::steady_timer timer(state_->context, time);
    boost::system::error_code ignored;
    co_await timer.async_wait(net::redirect_error(net::use_awaitable, ignored));
}

void Loop::watch(Closable& closable) { state_->watched.insert(&closable); }
void Loop::unwatch(Closable& closable) { state_->watched.erase(&closable); }

void Loop::deadline_moved(const Closable& closable) {
    if (closable.deadline < state_->timer_at) state_->arm(closable.deadline);
}

void Loop::end_overdue(Closable::TimePoint now) { state_->end_overdue(now); }

void Loop::close_everything() {
    const std::vector<Closable*> all(state_->watched.begin(), state_->watched.end());
    for (Closable* closable : all) {
        if (state_->watched.contains(closable)) closable->close_now();
    }
}

std::size_t Loop::watched() const { return state_->watched.size(); }

}  // namespace sanctum::interceptor
