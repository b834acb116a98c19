// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 from bytes to events, without sockets: feed() what arrived, ask next() until it says NeedMore.
//
// Boost.Beast parses; the gates (gate.hpp) refuse what Beast lets through and what an interceptor must not guess
// about. After an error the decoder is spent: the connection has to end.
#pragma once

#include "base/result.hpp"
#include "interceptor/http/message.hpp"

#include <memory>
#include <span>

namespace sanctum::interceptor {

/// Start line and fields as they came (names already in lower case), before a gate has judged them.
struct RawHead {
    std::string method;
    std::string target;
    std::uint16_t status = 0;
    std::string reason;
    bool is_http10 = false;
    Fields fields;
};

template <bool is_request>
class Http1Engine;

/// The agent's side: requests, one after another.
class RequestDecoder {
public:
    RequestDecoder();
    ~RequestDecoder();
    RequestDecoder(RequestDecoder&&) noexcept;
    RequestDecoder& operator=(RequestDecoder&&) noexcept;

    /// Lends `bytes` until the next feed(). May be called only when next() has answered NeedMore.
    void feed(std::span<char> bytes);
    /// The next event. Errors: Protocol (`RFC section: what is wrong`), Limit (head, fields, target, trailers).
    [[nodiscard]] Result<RequestEvent> next();
    /// No byte of a further request has been taken.
    [[nodiscard]] bool is_between_messages() const;
    /// Bytes that were fed and belong to the following message.
    [[nodiscard]] bool has_unread() const;

private:
    std::unique_ptr<Http1Engine<true>> engine_;
};

/// Which responses to await: one to HEAD never has a body.
enum class ResponseTo : std::uint8_t { Head, Other };

/// The upstream's side: interim and final responses to one request at a time.
class ResponseDecoder {
public:
    ResponseDecoder();
    ~ResponseDecoder();
    ResponseDecoder(ResponseDecoder&&) noexcept;
    ResponseDecoder& operator=(ResponseDecoder&&) noexcept;

    /// Says what the next final response answers. Call before its first byte.
    void expect(ResponseTo request);
    void feed(std::span<char> bytes);
    /// The stream ended in order. Errors: Protocol (in the middle of a message).
    [[nodiscard]] Status feed_end();
    /// Errors: as RequestDecoder::next().
    [[nodiscard]] Result<ResponseEvent> next();
    /// A byte of a response has been seen since expect().
    [[nodiscard]] bool has_started() const;
    [[nodiscard]] bool has_unread() const;

private:
    std::unique_ptr<Http1Engine<false>> engine_;
    bool is_to_head_ = false;
    bool was_interim_ = false;
};

}  // namespace sanctum::interceptor
