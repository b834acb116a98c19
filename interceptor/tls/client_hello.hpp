// SPDX-License-Identifier: Apache-2.0
// What we read from a ClientHello ourselves: the server name. Everything else of TLS is OpenSSL's. Pure; fuzzed.
#pragma once

#include <optional>
#include <span>
#include <string>

namespace sanctum::interceptor {

/// The host name in the bytes of a `server_name` extension (RFC 6066 section 3), lower-case, as sent otherwise.
/// nullopt when the bytes do not have that form, name no or more than one host, or hold a byte that no host name or
/// address has (NUL, controls, spaces, non-ASCII).
[[nodiscard]] std::optional<std::string> parse_server_name(std::span<const unsigned char> extension);

}  // namespace sanctum::interceptor
