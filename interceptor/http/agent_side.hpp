// SPDX-License-Identifier: Apache-2.0
// The agent's end of a connection: its stream and its decoder, with one read always under way, so that an agent that
// goes away is noticed while its answer is still being waited for. One buffer: an agent is never read ahead of more
// than kReadBytes.
#pragma once

#include "interceptor/http/concurrency.hpp"
#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/io/byte_stream.hpp"
#include "interceptor/io/read_buffer.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace sanctum::interceptor {

/// Run receive() beside everything else; the rest is called from one other coroutine chain.
class AgentSide {
public:
    explicit AgentSide(std::unique_ptr<ByteStream> stream);

    /// Reads until the stream ends. Owns all reading of the stream.
    [[nodiscard]] net::awaitable<void> receive();

    /// The next request's head; nullopt at an orderly end between requests. Errors: Protocol, Limit (to be answered),
    /// Timeout, Cancelled, Io.
    [[nodiscard]] net::awaitable<Result<std::optional<RequestHead>>> next_request();
    /// The next event of the current request's body without waiting; NeedMore: call more_body().
    /// Errors: Protocol, Limit.
    [[nodiscard]] Result<RequestEvent> poll_body();
    /// Waits for further bytes. Errors: Timeout (too slow), Cancelled (the agent or abandon_body()), Io.
    [[nodiscard]] net::awaitable<Status> more_body();
    /// Makes a pending and every later more_body() of this request fail with Cancelled.
    void abandon_body();
    /// The current request has been read to its end.
    [[nodiscard]] bool has_whole_request() const { return is_request_whole_; }

    /// Errors: Timeout (the agent takes nothing), Cancelled, Io.
    [[nodiscard]] net::awaitable<Status> write(std::string_view bytes);

    /// Called once when the agent ends its direction or breaks; empty: nobody is told.
    void on_gone(std::function<void()> call);
    [[nodiscard]] bool is_gone() const { return end_.has_value(); }

    /// Orderly end: what the agent still sends is thrown away within the stream's bounds.
    [[nodiscard]] net::awaitable<void> finish();
    void close();

private:
    void lend_buffer();
    [[nodiscard]] net::awaitable<Status> wait_for_bytes();
    void end_with(Error error);
    void begin_wait(std::chrono::milliseconds timeout);
    void end_wait();

    std::unique_ptr<ByteStream> stream_;
    RequestDecoder decoder_;
    ReadBuffer buffer_;
    std::size_t filled_ = 0;
    enum class Buffer : std::uint8_t { Reading, Arrived, Used } state_ = Buffer::Reading;
    Signal arrived_;
    Signal lent_;
    std::optional<Error> end_;
    std::function<void()> on_gone_;
    std::size_t window_bytes_ = 0;
    int waits_ = 0;
    bool is_request_whole_ = true;
    bool is_abandoned_ = false;
    bool is_discarding_ = false;
};

}  // namespace sanctum::interceptor
