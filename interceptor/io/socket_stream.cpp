// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/socket_stream.hpp"

#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace sanctum::interceptor {

SocketStream::SocketStream(Loop& loop, Descriptor socket)
    : loop_(loop), descriptor_(std::move(socket)), end_seen_(loop) {
    loop_.watch(*this);
}

SocketStream::~SocketStream() { loop_.unwatch(*this); }

void SocketStream::close() { descriptor_.close(); }

void SocketStream::set_deadline(std::chrono::milliseconds from_now) {
    deadline = std::chrono::steady_clock::now() + from_now;
    loop_.deadline_moved(*this);
}

void SocketStream::clear_deadline() { deadline = TimePoint::max(); }

void SocketStream::on_deadline() {
    if (!is_open()) return;
    is_timed_out_ = true;
    descriptor_.close();
}

bool SocketStream::is_quiet() const {
    char byte = 0;
    return is_open() && ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

net::awaitable<Status> SocketStream::wait(Descriptor::For what) {
    reads_in_turn_ = 0;
    const Status waited = co_await descriptor_.wait(what);
    if (std::optional<Error> error = ended()) co_return std::move(*error);
    co_return waited;
}

std::optional<Error> SocketStream::ended() const {
    if (is_timed_out_) return Error{Errc::Timeout, "the deadline of the connection passed"};
    if (!is_open()) return Error{Errc::Cancelled, "the connection was closed here"};
    return std::nullopt;
}

net::awaitable<void> SocketStream::share_turn() {
    reads_in_turn_ = 0;
    co_await loop_.yield_turn();
}

net::awaitable<void> SocketStream::linger() {
    if (!is_open()) co_return;
    ::shutdown(fd(), SHUT_WR);
    set_deadline(kShutdownTimeout);
    if (reads_pending_ > 0) {
        while (is_open() && !has_ended_) {
            const Status waited = co_await end_seen_.wait(kShutdownTimeout);
            if (!waited) break;
        }
        close();
        co_return;
    }
    std::array<char, 4096> thrown_away;
    for (std::size_t total = 0; is_open() && total < kLingerBytesMax;) {
        const ssize_t size = ::recv(fd(), thrown_away.data(), thrown_away.size(), MSG_DONTWAIT);
        if (size > 0) {
            total += static_cast<std::size_t>(size);
            continue;
        }
        if (size == 0 || (errno != EAGAIN && errno != EINTR)) break;
        const Status waited = co_await wait(Descriptor::For::Reading);
        if (!waited) break;
    }
    close();
}

Result<std::size_t> SocketStream::Reading::done(Result<std::size_t> result) {
    if (!result || *result == 0) {
        stream_.has_ended_ = true;
        stream_.end_seen_.notify_all();
    }
    return result;
}

net::awaitable<Status> SocketStream::wait_as_reader() {
    Reading reading(*this);
    Status waited = co_await wait(Descriptor::For::Reading);
    if (!waited) static_cast<void>(reading.done(waited.error()).has_value());
    co_return waited;
}

net::awaitable<Status> PlainStream::wait_to_read() {
    if (!is_drained()) co_return Status{};
    co_return co_await wait_as_reader();
}

net::awaitable<Result<std::size_t>> PlainStream::read_some(std::span<char> into) {
    Reading reading(*this);
    Result<std::size_t> size = co_await read(into);
    co_return reading.done(std::move(size));
}

net::awaitable<Result<std::size_t>> PlainStream::read(std::span<char> into) {
    if (is_turn_over()) co_await share_turn();
    for (;;) {
        if (std::optional<Error> error = ended()) co_return std::move(*error);
        const ssize_t size = ::recv(fd(), into.data(), into.size(), MSG_DONTWAIT);
        if (size >= 0) {
            note_read(static_cast<std::size_t>(size), into.size());
            co_return static_cast<std::size_t>(size);
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return io_error("read");
        SANCTUM_CO_CHECK(co_await wait(Descriptor::For::Reading));
    }
}

net::awaitable<Status> PlainStream::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        if (std::optional<Error> error = ended()) co_return std::move(*error);
        const ssize_t size = ::send(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(size));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return io_error("write");
        SANCTUM_CO_CHECK(co_await wait(Descriptor::For::Writing));
    }
    co_return Status{};
}

net::awaitable<void> PlainStream::finish() { co_await linger(); }

net::awaitable<Result<std::optional<unsigned char>>> PlainStream::peek_first_byte() {
    using Answer = Result<std::optional<unsigned char>>;
    for (;;) {
        if (std::optional<Error> error = ended()) co_return Answer(std::move(*error));
        unsigned char byte = 0;
        const ssize_t size = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (size == 0) co_return Answer(std::optional<unsigned char>{});
        if (size == 1) co_return Answer(std::optional<unsigned char>(byte));
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return Answer(io_error("read"));
        SANCTUM_CO_CHECK(co_await wait(Descriptor::For::Reading));
    }
}

}  // namespace sanctum::interceptor
