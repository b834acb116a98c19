// SPDX-License-Identifier: Apache-2.0
// The upstream's end of one exchange: its stream and its decoder. Writing and reading may run at the same time.
#pragma once

#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/io/read_buffer.hpp"
#include "interceptor/services.hpp"

#include <optional>

namespace sanctum::interceptor {

class UpstreamSide {
public:
    /// `request`: what its next response answers.
    UpstreamSide(Upstream upstream, ResponseTo request);

    /// Errors: Timeout, Cancelled, Io.
    [[nodiscard]] net::awaitable<Status> write(std::string_view bytes);
    /// The next event without waiting; NeedMore: call more(). Errors: Protocol, Limit.
    [[nodiscard]] Result<ResponseEvent> poll() { return decoder_.next(); }
    /// Waits for further bytes; the end of the stream counts where it ends a body. Errors: Io (ended or reset),
    /// Timeout, Cancelled (close() was called), Denied (it does not accept our certificate).
    [[nodiscard]] net::awaitable<Status> more();

    [[nodiscard]] bool has_response_begun() const { return decoder_.has_started(); }
    [[nodiscard]] bool is_reused() const { return upstream_.is_reused; }
    /// The last response has been read to its end and nothing lies behind it.
    [[nodiscard]] bool is_between_messages() const { return !decoder_.has_unread() && !has_ended_; }
    /// For Upstreams::park(); this object is spent.
    [[nodiscard]] Upstream release();
    void close();

private:
    Upstream upstream_;
    ResponseDecoder decoder_;
    ReadBuffer buffer_;
    bool has_ended_ = false;
};

}  // namespace sanctum::interceptor
