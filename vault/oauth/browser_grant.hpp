// SPDX-License-Identifier: Apache-2.0
// The authorization code grant for a program on a person's own machine (RFC 8252): the browser comes back to our
// listener on loopback. With PKCE (RFC 7636, S256), `state`, and the issuer's name in the answer (RFC 9207). Pure.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"
#include "vault/http/loopback_listener.hpp"
#include "vault/oauth/consent_question.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace sanctum::vault {

/// The S256 challenge of a verifier (RFC 7636 4.2).
[[nodiscard]] std::string challenge_of(const Secret& verifier);

/// 32 random bytes in base64url: 43 characters.
[[nodiscard]] std::string make_nonce();

/// One question's secrets and names.
struct BrowserGrant {
    /// Fresh secrets. `issuer`: empty where the configuration has none.
    BrowserGrant(std::string issuer, bool sends_issuer, std::string redirect_uri);

    std::string issuer;
    bool sends_issuer = false;  ///< an answer without `iss` is not the provider's
    std::string redirect_uri;
    std::string_view code_name = "code";  ///< how the answer calls what it brings; a literal
    std::string state;
    Secret verifier;
    std::string challenge;  ///< of `verifier`
};

/// The parameters of the authorization request (RFC 6749 4.1.1, RFC 7636 4.3) but for `client_id`.
[[nodiscard]] Form authorization_form(const profiles::IdentityClient& client, const BrowserGrant& grant,
                                      const ConsentQuestion& question);

/// `request_uri` out of the answer to a pushed request (RFC 9126 2.2). Errors: Protocol.
[[nodiscard]] Result<std::string> read_pushed_answer(const HttpResponse& response);

/// The address that the person opens.
[[nodiscard]] std::string authorization_url(const std::string& endpoint, const Form& form);

/// The parameters that ask for the token (RFC 6749 4.1.3, RFC 7636 4.5).
[[nodiscard]] Form code_form(const BrowserGrant& grant, const Secret& code);

/// Whoever knows no `state` is not the provider: the waiting goes on.
struct NotTheAnswer {};
/// The provider's no.
struct ConsentRefused {
    std::string error;
    std::string description;
};
/// What the browser brought. The Error (Protocol) is an answer to our question that another issuer gave, or none.
using CallbackAnswer = std::variant<Secret, ConsentRefused, NotTheAnswer, Error>;
[[nodiscard]] CallbackAnswer read_callback(const LoopbackQuery& query, const BrowserGrant& grant);

}  // namespace sanctum::vault
