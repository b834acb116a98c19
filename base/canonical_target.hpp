// SPDX-License-Identifier: Apache-2.0
// Hosts, paths and queries in the one form in which they are compared, decided, recorded and sent.
//
// Here and not in the interceptor because `sanctum explain FILE METHOD URL` must refuse what the interceptor refuses.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum {

/// `name[:port]` of a Host field.
struct Authority {
    std::string host;
    std::uint16_t port = 0;  ///< 0: none was written
};

/// Letters, digits and hyphens in labels (RFC 1123 section 2.1), at most 253 bytes, made lower-case; no trailing dot,
/// no userinfo, no literal in brackets, port strict. Errors: Protocol.
[[nodiscard]] Result<Authority> canonical_authority(std::string_view text);

/// A path that every server understands alike: no dot segments, no empty segments, no `;`, no escapes of `/ \ . %XX`,
/// of control bytes or of unreserved characters, escapes valid UTF-8. Hexadecimal digits are made upper-case; nothing
/// else is changed. Errors: Protocol.
[[nodiscard]] Result<std::string> canonical_path(std::string_view text);

/// Checks a query: characters and escapes; no escaped NUL. Errors: Protocol.
[[nodiscard]] Status check_query(std::string_view text);

}  // namespace sanctum
