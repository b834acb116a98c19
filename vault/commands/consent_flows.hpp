// SPDX-License-Identifier: Apache-2.0
// The two ways to a person's consent, each from its question to the tokens: what `sanctum connect` waits for.
#pragma once

#include "base/result.hpp"
#include "vault/http/provider_talk.hpp"
#include "vault/oauth/browser_grant.hpp"
#include "vault/oauth/consent_question.hpp"
#include "vault/oauth/server_metadata.hpp"
#include "vault/oauth/token_endpoint.hpp"

#include <cstdint>
#include <functional>
#include <optional>
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
    LoopbackPlace place;  ///< of our listener
};

/// Prints what the person does, waits until it is done, and gives the tokens.
///
/// Errors of both: Denied (refused, or the provider is not set up for it; with its reason and the setting), Timeout
/// (the provider is out of reach, or answers 429 or 5xx), Cancelled (a signal), Protocol (an answer that breaks its
/// format, or that somebody else gave), Io (no listener).
[[nodiscard]] Result<TokenAnswer> consent_by_device(const ConsentParts& parts);
[[nodiscard]] Result<TokenAnswer> consent_by_browser(const ConsentParts& parts, const BrowserChoice& choice);

/// Waits for the answer to an address that a person opens. `make_address`: asks the provider for it, once the place to
/// come back to is known. Gives the code; `grant` is made here. Errors: as consent_by_browser.
using MakeAddress = std::function<Result<std::string>(BrowserGrant& grant)>;
[[nodiscard]] Result<Secret> wait_for_browser(const ConsentParts& parts, const BrowserChoice& choice, AnswerIn where,
                                              std::optional<BrowserGrant>& grant, const MakeAddress& make_address);

/// One question to the token endpoint. `each_second`: as ProviderTalk::wait. Errors: Cancelled, Io.
[[nodiscard]] Result<TokenOutcome> ask_for_token(const ConsentParts& parts, const Form& form,
                                                 const std::function<void()>& each_second = nullptr);
/// A failure as the error that ends the command. See consent_by_device.
[[nodiscard]] Error consent_error(const ConsentParts& parts, const SourceFailure& failure);

}  // namespace sanctum::vault
