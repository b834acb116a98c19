// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/descriptor.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sanctum::interceptor {

struct Descriptor::Waiter {
    net::posix::stream_descriptor stream;
};

Descriptor::Descriptor(Loop& loop, UniqueFd fd)
    : waiter_(std::make_unique<Waiter>(Waiter{net::posix::stream_descriptor(loop.context())})) {
    boost::system::error_code error;
    waiter_->stream.assign(fd.get(), error);
    // A descriptor that cannot be watched (a full epoll, a regular file) is closed: every wait then ends at once.
    if (!error) fd_ = fd.release();
}

Descriptor::Descriptor(Descriptor&& other) noexcept
    : waiter_(std::move(other.waiter_)), fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        close();
        waiter_ = std::move(other.waiter_);
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

Descriptor::~Descriptor() { close(); }

net::awaitable<Status> Descriptor::wait(For what) {
    if (!is_open()) co_return Error{Errc::Cancelled, "closed"};
    const auto kind = what == For::Reading ? net::posix::stream_descriptor::wait_read
                                           : net::posix::stream_descriptor::wait_write;
    boost::system::error_code error;
    co_await waiter_->stream.async_wait(kind, net::redirect_error(net::use_awaitable, error));
    if (error) co_return Error{Errc::Cancelled, "closed"};
    co_return Status{};
}

void Descriptor::cancel() {
    if (!is_open()) return;
    boost::system::error_code ignored;
    waiter_->stream.cancel(ignored);
}

void Descriptor::close() {
    if (!is_open()) return;
    fd_ = -1;
    boost::system::error_code ignored;
    waiter_->stream.close(ignored);
}

}  // namespace sanctum::interceptor
