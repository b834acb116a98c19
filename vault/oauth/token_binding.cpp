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
    return {cnf.text("x5t#S256"), cnf.text("jkt"), true};
}

TokenBinding binding_of(const Secret& token) {
    std::string claims = claims_of(token.reveal());
    Result<JsonAnswer> json = JsonAnswer::parse_text(claims, "the token");
    wipe(claims);
    return json ? take_binding(*json) : TokenBinding{};
}

std::string binding_problem(const TokenBinding& binding, const TokenBinding& ours) {
    if (!binding.certificate.empty() && ours.certificate.empty()) {
        return "the token is bound to the client's certificate; write certificate_bound = true at the provider, or "
               "switch tls_client_certificate_bound_access_tokens off for this client";
    }
    if (!binding.certificate.empty() && binding.certificate != ours.certificate) {
        return "the token is bound to another certificate than the one that was shown; see whether the provider's TLS "
               "ends at a proxy that shows it a certificate of its own";
    }
    if (binding.key != ours.key && !binding.key.empty()) {
        if (ours.key.empty()) return "the token is bound to a key; write dpop = true at the provider";
        return "the token is bound to another key than this mission's";
    }
    if (!ours.certificate.empty() && binding.is_said && binding.certificate.empty()) {
        return "the token is not bound to the certificate that was shown; bind this client's tokens "
               "(tls_client_certificate_bound_access_tokens), or remove certificate_bound = true";
    }
    return {};
}

}  // namespace sanctum::vault
