// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/event.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace sanctum::interceptor {

struct Event::Waiter {
    Waiter(Event& event, net::io_context& context) : owner(event), timer(context) { owner.waiters_.push_back(this); }
    ~Waiter() { std::erase(owner.waiters_, this); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    Event& owner;
    net::steady_timer timer;
    bool is_notified = false;
};

net::awaitable<Status> Event::wait(std::chrono::milliseconds timeout) {
    Waiter waiter(*this, loop_.context());
    waiter.timer.expires_after(timeout);
    boost::system::error_code ignored;
    co_await waiter.timer.async_wait(net::redirect_error(net::use_awaitable, ignored));
    if (!waiter.is_notified) co_return Error{Errc::Timeout, "nothing happened in time"};
    co_return Status{};
}

void Event::notify_all() {
    for (Waiter* waiter : waiters_) {
        waiter->is_notified = true;
        waiter->timer.cancel();
    }
}

}  // namespace sanctum::interceptor
