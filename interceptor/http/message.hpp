// SPDX-License-Identifier: Apache-2.0
// The vocabulary in which everything above the codecs speaks about HTTP: heads in canonical form and a closed set of
// events. HTTP/1.1 speaks it today; another version brings its own codec and nothing else.
//
// Heads hold end-to-end fields only, names in lower case: what frames a message or belongs to one hop was taken out
// by the gates and is written anew by the encoder.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sanctum::interceptor {

/// One header or trailer field; `name` is lower-case.
struct Field {
    std::string name;
    std::string value;
    bool operator==(const Field&) const = default;
};
using Fields = std::vector<Field>;

/// The value of the first field called `name` (lower-case); nullptr when there is none.
[[nodiscard]] const std::string* find_field(const Fields& fields, std::string_view name);

/// Removes every field called `name`; says how many there were.
std::size_t remove_fields(Fields& fields, std::string_view name);

/// How a body is delimited (RFC 9112 section 6).
enum class Framing : std::uint8_t { None, Length, Chunked, UntilClose };

/// A request in canonical form. Only gate_request() makes one from bytes.
struct RequestHead {
    std::string method;
    std::string host;         ///< lower-case name, no port
    std::uint16_t port = 0;   ///< as written behind the host; 0: none was
    std::string path;         ///< starts with '/', no dot segments, no doubtful escapes
    std::string query;        ///< raw, without '?'
    bool has_query = false;   ///< the target has a '?', perhaps with nothing behind it
    Fields fields;
    Framing framing = Framing::None;
    std::uint64_t content_length = 0;  ///< Framing::Length only
    bool is_http10 = false;
    bool wants_close = false;          ///< no further request on this connection
    bool expects_continue = false;     ///< RFC 9110 section 10.1.1

    [[nodiscard]] std::string target() const { return has_query ? path + "?" + query : path; }
    [[nodiscard]] bool has_body() const {
        return framing == Framing::Chunked || (framing == Framing::Length && content_length > 0);
    }
};

/// A response as the upstream meant it. `framing` tells how it arrived, not how it is sent on.
struct ResponseHead {
    std::uint16_t status = 0;
    std::string reason;
    Fields fields;
    Framing framing = Framing::None;
    std::uint64_t content_length = 0;
    bool has_content_length = false;  ///< also for HEAD and 304, which have no body
    bool wants_close = false;         ///< the upstream ends this connection

    [[nodiscard]] bool is_interim() const { return status < 200; }
};

/// Everything fed so far was used up.
struct NeedMore {};
/// A piece of the unframed body. Borrowed from the decoder or the fed buffer, valid until the decoder's next call.
struct BodyChunk {
    std::span<char> bytes;
};
/// Fields behind a chunked body.
struct Trailers {
    Fields fields;
};
struct EndOfMessage {};

using RequestEvent = std::variant<NeedMore, RequestHead, BodyChunk, Trailers, EndOfMessage>;
using ResponseEvent = std::variant<NeedMore, ResponseHead, BodyChunk, Trailers, EndOfMessage>;

}  // namespace sanctum::interceptor
