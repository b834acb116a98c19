// SPDX-License-Identifier: Apache-2.0
// What `sanctum connect` knows before anybody is asked: the account, its provider's endpoints, the flow, the question.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/commands/store_context.hpp"
#include "vault/http/loopback_listener.hpp"
#include "vault/http/provider_talk.hpp"
#include "vault/oauth/consent_question.hpp"
#include "vault/oauth/server_metadata.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

struct ConnectOptions {
    StoreChoice choice;
    std::string account;
    std::vector<std::string> scopes;  ///< in the catalog's words or the provider's; empty: the account's
    std::string flow;                 ///< device | browser; empty: what fits
    bool has_no_browser = false;
    std::uint16_t port = 0;
    bool is_dry = false;
};

enum class ConsentFlow : std::uint8_t { Device, Browser };

struct ConnectPlan {
    profiles::Account account;
    profiles::IdentityClient client;  ///< with all the endpoints that are known
    ServerMetadata metadata;
    /// What is asked of the provider behind the account: by this provider itself, or (auth0) by its connection.
    ConsentQuestion question;
    ConsentFlow flow = ConsentFlow::Device;
    LoopbackPlace place;                   ///< where a browser comes back to
    std::optional<profiles::Login> login;  ///< of an account whose source is a login

    [[nodiscard]] bool is_token_vault() const { return account.source == "auth0"; }
    [[nodiscard]] bool is_github_user() const { return account.source == "github-app"; }
    /// `provider corp`, `tenant acme`.
    [[nodiscard]] std::string title() const { return client.title(); }
};

/// Asks the provider about itself (RFC 8414), and lets `talk` reach what it named. Errors: InvalidProfile (no such
/// account, one that cannot be connected, no endpoint for the flow, no scopes; with what there is and what to write),
/// Timeout (out of reach), Protocol and Denied (metadata that does not fit the configuration), Cancelled.
[[nodiscard]] Result<ConnectPlan> plan_connection(const ConnectOptions& options,
                                                  const profiles::OperatorConfig& config, ProviderTalk& talk);

/// The login whose refresh token stands for a user of Token Vault, able to connect accounts.
[[nodiscard]] ConsentQuestion login_question(const ConnectPlan& plan);

}  // namespace sanctum::vault
