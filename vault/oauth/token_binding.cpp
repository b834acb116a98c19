// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/token_binding.hpp"

#include <sodium.h>

#include <algorithm>

namespace sanctum::vault {
namespace {

// The claims of a compact JWS (RFC 7515 7.1); empty: it is none. The caller wipes it.
std::string claims_of(std::string_view token) {
    const std::size_t first = token.find('.');
    const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return {};
    const std::string_view coded = token.substr(first + 1, second - first - 1);
    std::string claims(coded.size(), '\0');
    std::size_t size = 0;
    const int failed = ::sodium_base642bin(reinterpret_cast<unsigned char*>(claims.data()), claims.size(), coded.data(),
                                           coded.size(), nullptr, &size, nullptr,
                                           sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    claims.resize(failed == 0 ? size : 0);
    return claims;
}

}  // namespace

TokenBinding take_binding(JsonAnswer& json) {
    const JsonAnswer cnf = json.take_object("cnf");
    return {cnf.text("x5t#S256"), cnf.text("jkt")};
}

TokenBinding binding_of(const Secret& token) {
    std::string claims = claims_of(token.reveal());
    Result<JsonAnswer> json = JsonAnswer::parse_text(claims, "the token");
    wipe(claims);
    return json ? take_binding(*json) : TokenBinding{};
}

std::string binding_problem(const TokenBinding& binding, const std::string& our_key) {
    if (!binding.certificate.empty()) {
        return "the token is bound to the client's certificate, which requests to an API do not show; switch "
               "tls_client_certificate_bound_access_tokens off for this client";
    }
    if (binding.key.empty() || binding.key == our_key) return {};
    if (our_key.empty()) return "the token is bound to a key; write dpop = true at the provider";
    return "the token is bound to another key than this mission's";
}

}  // namespace sanctum::vault
