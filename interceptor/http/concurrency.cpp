// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/concurrency.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <utility>

namespace sanctum::interceptor {

struct Signal::Waiter {
    virtual ~Waiter() = default;
    virtual void resume() = 0;
};

template <class Handler>
struct Signal::WaiterOf final : Signal::Waiter {
    explicit WaiterOf(Handler handler) : handler_(std::move(handler)) {}
    void resume() override {
        const auto executor = net::get_associated_executor(handler_);
        net::post(executor, std::move(handler_));
    }
    Handler handler_;
};

Signal::Signal() = default;
Signal::~Signal() = default;

net::awaitable<void> Signal::wait() {
    if (std::exchange(is_set_, false)) co_return;
    auto initiate = [this](auto handler) {
        waiter_ = std::make_unique<WaiterOf<decltype(handler)>>(std::move(handler));
    };
    co_await net::async_initiate<const net::use_awaitable_t<>, void()>(std::move(initiate), net::use_awaitable);
}

void Signal::notify() {
    if (!waiter_) {
        is_set_ = true;
        return;
    }
    std::exchange(waiter_, nullptr)->resume();
}

net::awaitable<void> run_both(net::awaitable<void> first, net::awaitable<void> second) {
    Signal both_ended;
    int running = 2;
    std::exception_ptr error;
    auto on_end = [&](std::exception_ptr thrown) {
        if (thrown) error = std::move(thrown);
        if (--running == 0) both_ended.notify();
    };
    const auto executor = co_await net::this_coro::executor;
    net::co_spawn(executor, std::move(first), on_end);
    net::co_spawn(executor, std::move(second), on_end);
    // Both borrow from our caller's frame, so neither may outlive this call.
    co_await both_ended.wait();
    if (error) std::rethrow_exception(error);
}

}  // namespace sanctum::interceptor
