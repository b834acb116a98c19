// SPDX-License-Identifier: Apache-2.0
// To which key a token is bound (`cnf`, RFC 7800), as far as the token or its provider says. Pure.
//
// Nothing is verified: what is read here can only forbid. A bound token that is sent without its key is refused by a
// server that looks, and taken by one that does not; neither is what the operator wanted.
#pragma once

#include "base/secret.hpp"
#include "vault/http/json_answer.hpp"

#include <string>

namespace sanctum::vault {

struct TokenBinding {
    std::string certificate{};  ///< `x5t#S256` (RFC 8705 3.1); empty: none
    std::string key{};          ///< `jkt` (RFC 9449 6.1); empty: none
    bool is_said = false;       ///< it was said, and be it that there is none; else nobody knows
};

/// What a token says of itself: one that is a JWT (RFC 9068) in its claims, any other nothing.
[[nodiscard]] TokenBinding binding_of(const Secret& token);
/// Takes `cnf` out of claims, or of an introspection's answer (RFC 8705 3.2, RFC 9449 6.2).
[[nodiscard]] TokenBinding take_binding(JsonAnswer& json);

/// Empty, or why a token with this binding cannot be put on requests, with the remedy. `ours`: thumbprints of the key
/// that requests are proved with, and of the certificate that connections show; empty: none is.
[[nodiscard]] std::string binding_problem(const TokenBinding& binding, const TokenBinding& ours);

}  // namespace sanctum::vault
