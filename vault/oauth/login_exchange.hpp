// SPDX-License-Identifier: Apache-2.0
// One question to the token endpoint of an agent's own login, and its answer: tokens for the vault, placeholders for
// the agent. Pure.
#pragma once

#include "profiles/schema/mission.hpp"
#include "vault/http/http_client.hpp"
#include "vault/oauth/browser_grant.hpp"
#include "vault/oauth/token_answer.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sanctum::vault {

/// The request for a grant (RFC 6749 4.1.3 and 6) as a public client, in the form that `login.body` names.
using Members = std::vector<std::pair<std::string_view, std::string_view>>;
[[nodiscard]] HttpRequest login_request(const profiles::Login& login, std::string_view grant, Members members);

/// The address that a person opens to log in (RFC 6749 4.1.1, RFC 7636 4.3), as the provider knows this client.
[[nodiscard]] std::string login_address(const profiles::Login& login, const BrowserGrant& grant,
                                        const std::vector<std::string>& scopes);
/// The request for the tokens of `code`, with what `login.sends` names.
[[nodiscard]] HttpRequest code_request(const profiles::Login& login, const BrowserGrant& grant, const Secret& code);

/// What takes a refresh token, and with it the login, back (RFC 7009 2.1). The endpoint must exist.
[[nodiscard]] HttpRequest revocation_request(const profiles::Login& login, const Secret& refresh_token);

/// What a login gave.
struct LoginTokens {
    TokenAnswer answer;
    /// Members that the agent sees, as JSON: those that the catalog keeps, and a placeholder for each token.
    std::map<std::string, std::string> members;
    /// What files in the agent's home may show, as text: placeholders by the token's name, texts of claims.
    std::map<std::string, std::string> shown;
};

/// Errors as read_token_answer; Protocol too for a token that cannot be put on a request, and for an answer that is
/// longer than an agent is told.
[[nodiscard]] std::variant<LoginTokens, SourceFailure> read_login_answer(const HttpResponse& response,
                                                                         const profiles::Login& login,
                                                                         const TokenQuestion& question);

/// The answer that an agent gets; `left`: what remains of the access token's life, 0: as it was said.
[[nodiscard]] std::string login_reply(const LoginTokens& tokens, Milliseconds left);

/// The answer that says no (RFC 6749 5.2).
[[nodiscard]] std::string login_refusal(const std::string& error, const std::string& description);

}  // namespace sanctum::vault
