// SPDX-License-Identifier: Apache-2.0
// What plain and TLS streams share: the descriptor, the one deadline, closing, and the last words of a connection.
#pragma once

#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "interceptor/io/byte_stream.hpp"
#include "interceptor/io/descriptor.hpp"
#include "interceptor/io/event.hpp"
#include "interceptor/io/loop.hpp"

#include <optional>

namespace sanctum::interceptor {

/// A connected, non-blocking TCP socket as half of a ByteStream.
class SocketStream : public ByteStream, private Closable {
public:
    SocketStream(Loop& loop, Descriptor socket);
    ~SocketStream() override;

    void close() final;
    void set_deadline(std::chrono::milliseconds from_now) final;
    void clear_deadline() final;

    [[nodiscard]] int fd() const { return descriptor_.fd(); }
    [[nodiscard]] bool is_open() const { return descriptor_.is_open(); }

    /// True while the other side is silent and has not closed: what an idle kept connection must look like.
    [[nodiscard]] virtual bool is_quiet() const;

protected:
    /// Waits for readiness. Errors: Timeout, Cancelled.
    [[nodiscard]] net::awaitable<Status> wait(Descriptor::For what);
    /// Why no call can succeed any more, or nullopt.
    [[nodiscard]] std::optional<Error> ended() const;
    /// After reads that needed no waiting: lets other connections run now and then.
    [[nodiscard]] net::awaitable<void> share_turn();
    [[nodiscard]] bool is_turn_over() { return ++reads_in_turn_ >= kReadsPerTurnMax; }
    /// FIN, then waits until the other side is done too, so that it sees what we said before we closed. Reads and
    /// throws away what still comes, unless a read is pending: then its caller is the one who goes on reading.
    [[nodiscard]] net::awaitable<void> linger();
    /// To be told of every read: one that filled less than its buffer took all there was.
    void note_read(std::size_t size, std::size_t room) { is_drained_ = size < room; }
    [[nodiscard]] bool is_drained() const { return is_drained_; }
    /// wait() for a reader. Errors: Timeout, Cancelled.
    [[nodiscard]] net::awaitable<Status> wait_as_reader();
    /// Brackets every read_some: linger() must know whether one is pending, and when the stream has ended.
    class Reading {
    public:
        explicit Reading(SocketStream& stream) : stream_(stream) { ++stream_.reads_pending_; }
        ~Reading() { --stream_.reads_pending_; }
        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;
        /// Remembers an end or error for linger().
        Result<std::size_t> done(Result<std::size_t> result);

    private:
        SocketStream& stream_;
    };

    /// Moves the socket out; nothing may be waiting.
    [[nodiscard]] Descriptor take_descriptor() { return std::move(descriptor_); }

private:
    void on_deadline() final;
    void close_now() final { close(); }

    Loop& loop_;
    Descriptor descriptor_;
    Event end_seen_;
    bool has_ended_ = false;  ///< a read has reported the end or an error
    bool is_timed_out_ = false;
    bool is_drained_ = false;
    unsigned reads_pending_ = 0;
    unsigned reads_in_turn_ = 0;
};

/// Bytes as they are on the wire.
class PlainStream final : public SocketStream {
public:
    using SocketStream::SocketStream;
    net::awaitable<Result<std::size_t>> read_some(std::span<char> into) override;
    net::awaitable<Status> wait_to_read() override;
    net::awaitable<Status> write_all(std::string_view bytes) override;
    net::awaitable<void> finish() override;

    /// Completes when a byte waits to be read and returns it without taking it; nullopt at the end of the stream.
    /// Errors: as read_some.
    [[nodiscard]] net::awaitable<Result<std::optional<unsigned char>>> peek_first_byte();
    /// Gives the socket to another stream of the same loop; this one counts as closed afterwards.
    [[nodiscard]] Descriptor release() { return take_descriptor(); }

private:
    [[nodiscard]] net::awaitable<Result<std::size_t>> read(std::span<char> into);
};

}  // namespace sanctum::interceptor
