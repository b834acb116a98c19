// SPDX-License-Identifier: Apache-2.0
// ByteStream: the border between moving bytes and understanding them. Only interceptor/io knows what is behind it.
#pragma once

#include "base/result.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>

namespace sanctum::interceptor {

namespace net = boost::asio;

/// One full-duplex stream of bytes (TLS or plain TCP, agent or upstream side). One read and one write may be in
/// flight at once. Cancellation is closing: after close() every pending and later call completes with Cancelled.
class ByteStream {
public:
    virtual ~ByteStream() = default;

    /// Completes when at least one byte arrived, at the orderly end of the stream (0), on error, or at the deadline.
    /// Errors: Timeout, Cancelled, Io (reset), Protocol (TLS: also a missing close_notify), Denied (TLS: our
    /// certificate was not accepted).
    [[nodiscard]] virtual net::awaitable<Result<std::size_t>> read_some(std::span<char> into) = 0;

    /// Completes when read_some() is likely not to wait: so that nobody holds memory for bytes that do not come. A
    /// stream may complete at once. Errors: Timeout, Cancelled.
    [[nodiscard]] virtual net::awaitable<Status> wait_to_read() = 0;

    /// Completes when all bytes were handed to the kernel, or on error. Errors: as read_some.
    [[nodiscard]] virtual net::awaitable<Status> write_all(std::string_view bytes) = 0;

    /// Orderly end of our direction (close_notify, FIN); then closes. Never waits longer than kShutdownTimeout.
    [[nodiscard]] virtual net::awaitable<void> finish() = 0;

    /// Closes at once.
    virtual void close() = 0;

    /// Arms the one deadline of this stream: when it passes, pending and later calls complete with Timeout.
    /// A new call replaces the old deadline; `none` takes it away.
    virtual void set_deadline(std::chrono::milliseconds from_now) = 0;
    virtual void clear_deadline() = 0;
};

}  // namespace sanctum::interceptor
