// SPDX-License-Identifier: Apache-2.0
// The two ways to a person's consent, each from its question to the tokens: what `sanctum connect` waits for.
#pragma once

#include "base/result.hpp"
#include "vault/http/provider_talk.hpp"
#include "vault/oauth/consent_question.hpp"
#include "vault/oauth/server_metadata.hpp"
#include "vault/oauth/token_endpoint.hpp"

#include <cstdint>
#include <string>

namespace sanctum::vault {

/// What a flow works with; all of it outlives the flow.
struct ConsentParts {
    ProviderTalk& talk;
    TokenEndpoint& endpoint;
    const profiles::IdentityClient& client;  ///< complete (complete_client)
    const ServerMetadata& metadata;
    const ConsentQuestion& question;
    std::string account;
};

/// How a browser comes to the provider and back.
struct BrowserChoice {
    bool starts_browser = true;
    std::uint16_t port = 0;  ///< of our listener; 0: one that is free
};

/// Prints what the person does, waits until it is done, and gives the tokens.
///
/// Errors of both: Denied (refused, or the provider is not set up for it; with its reason and the setting), Timeout
/// (the provider is out of reach, or answers 429 or 5xx), Cancelled (a signal), Protocol (an answer that breaks its
/// format, or that somebody else gave), Io (no listener).
[[nodiscard]] Result<TokenAnswer> consent_by_device(const ConsentParts& parts);
[[nodiscard]] Result<TokenAnswer> consent_by_browser(const ConsentParts& parts, const BrowserChoice& choice);

/// The whole answer of a provider, whatever it says. Errors: Timeout, Cancelled, Protocol, Denied, as above.
[[nodiscard]] Result<HttpResponse> ask_provider(ProviderTalk& talk, const std::string& provider, HttpRequest request);

}  // namespace sanctum::vault
