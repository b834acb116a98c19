// SPDX-License-Identifier: Apache-2.0
// Auth0's Connected Accounts (My Account API, /me/v1/connected-accounts): how a user's account at a provider comes into
// Token Vault. Requests and answers; pure. https://auth0.com/docs/secure/tokens/token-vault/connected-accounts
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "vault/http/http_client.hpp"
#include "vault/oauth/browser_grant.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

/// What is sent with every request: the tenant's issuer, and the user's token for its My Account API.
struct MyAccount {
    std::string issuer;  ///< with its slash
    std::string client_id;
    const Secret& access_token;
};

/// `audience` of the My Account API, and the scope that connecting takes.
[[nodiscard]] std::string my_account_audience(const std::string& issuer);
inline constexpr const char* kConnectScope = "create:me:connected_accounts";

/// Trades the user's refresh token for a token of the My Account API (a multi-resource refresh token).
[[nodiscard]] Form my_account_form(const std::string& issuer, const Secret& refresh_token);

/// Asks to connect `connection`; the browser comes back to `grant`. `scopes`: in the provider's words; empty: those of
/// the tenant's connection.
[[nodiscard]] HttpRequest connect_request(const MyAccount& account, const std::string& connection,
                                          const std::vector<std::string>& scopes, const BrowserGrant& grant);

/// What the person opens, and what names the attempt.
struct ConnectBegun {
    Secret session;
    std::string address;
};
/// Errors: Denied (with the tenant's reason and the setting), Protocol.
[[nodiscard]] Result<ConnectBegun> read_connect_answer(const HttpResponse& response, const MyAccount& account,
                                                       const std::string& connection);

[[nodiscard]] HttpRequest complete_request(const MyAccount& account, const ConnectBegun& begun, const Secret& code,
                                           const BrowserGrant& grant);

/// The scopes that the account was connected with, sorted; absent: the tenant does not say. Errors: as above.
[[nodiscard]] Result<std::optional<std::vector<std::string>>> read_complete_answer(const HttpResponse& response,
                                                                                   const MyAccount& account,
                                                                                   const std::string& connection);

}  // namespace sanctum::vault
