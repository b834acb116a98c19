// SPDX-License-Identifier: Apache-2.0
// Discovery: from what the operator knows of a provider, its issuer or the API that it is for, to where it is asked
// (RFC 9728, RFC 8414). Before a secret is in this process: nothing that is found out needs one.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/provider_talk.hpp"
#include "vault/oauth/server_metadata.hpp"

namespace sanctum::vault {

/// A client whose endpoints are known, and what else its provider says of itself (empty where nobody was asked).
struct Discovered {
    profiles::IdentityClient client;
    ServerMetadata metadata;
};

/// Asks the API for its provider where the configuration names the API (`resource`): by its metadata, or by what it
/// answers to a request without a credential; then the provider for its endpoints. With neither `resource` nor `issuer`
/// nobody is asked. Every answer is read in a process of its own (look_up()). What the operator wrote wins.
///
/// Errors: Denied and Protocol (metadata that does not fit the configuration, or has no token endpoint), Timeout (out
/// of reach), those of look_up(); with the setting to change.
[[nodiscard]] Result<Discovered> discover(ProviderTalk& talk, const profiles::UpstreamConfig& upstream,
                                          profiles::IdentityClient client);

}  // namespace sanctum::vault
