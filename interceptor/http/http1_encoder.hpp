// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 from canonical form to bytes: always re-serialised, one framing, names in lower case.
#pragma once

#include "interceptor/http/message.hpp"

#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// The head of a request as it goes upstream: host first, framing last. `fields` are head.fields after rewriting.
[[nodiscard]] std::string encode_request_head(const RequestHead& head);

/// How the body of a response goes to the agent.
struct ResponseFraming {
    Framing framing = Framing::None;
    std::uint64_t content_length = 0;
    bool says_length = false;  ///< write content-length although there is no body (HEAD, 304)
    bool closes = false;       ///< write `connection: close`
};
[[nodiscard]] std::string encode_response_head(const ResponseHead& head, const ResponseFraming& framing);

/// Appends `bytes` as one chunk (nothing for no bytes: that would be the end).
void append_chunk(std::string& out, std::string_view bytes);
/// Appends the last chunk with its trailer section.
void append_last_chunk(std::string& out, const Fields& trailers);

}  // namespace sanctum::interceptor
