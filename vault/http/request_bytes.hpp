// SPDX-License-Identifier: Apache-2.0
// One request from values to bytes. Pure.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"
#include "vault/http/wiped_bytes.hpp"

#include <cstdint>
#include <string>

namespace sanctum::vault {

/// Where a request goes.
struct RequestPlace {
    std::string host;
    std::uint16_t port = 443;
    std::string target;  ///< path and query; `/` at least

    /// `host`, and the port where it is not 443: what the Host field says.
    [[nodiscard]] std::string authority() const;
};

/// Takes `https://host[:port][/path][?query]` apart. Names only, no addresses: a certificate is for a name. Errors:
/// InvalidProfile (anything else: another scheme, a user, a fragment, characters that RFC 3986 wants escaped); the
/// sentence holds nothing of path and query.
[[nodiscard]] Result<RequestPlace> place_of(const std::string& url);

/// The whole request in HTTP/1.1 (RFC 9112), for one connection and an answer that is not compressed. Errors:
/// InvalidProfile (a method, field or credential that would not be what it says: no token, or line breaks inside it;
/// a field that this function writes itself). Neither is in the sentence.
[[nodiscard]] Result<WipedBytes> request_bytes(const HttpRequest& request, const RequestPlace& place);

}  // namespace sanctum::vault
