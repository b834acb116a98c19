// SPDX-License-Identifier: Apache-2.0
// One question for metadata, asked and read in a process of its own: what comes from outside is parsed where a flaw of
// the parser reaches one server and nothing else. What comes back is a small text of ours, and checked.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/provider_talk.hpp"
#include "vault/oauth/resource_metadata.hpp"
#include "vault/oauth/server_metadata.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum::vault {

/// What is looked for, where, and about whom: an issuer's metadata (RFC 8414), an API's (RFC 9728), or the address of
/// these that the API names when it is asked without a credential (5.1).
struct Lookup {
    enum class For : std::uint8_t { Issuer, Resource, Challenge } what = For::Issuer;
    std::string url;    ///< https
    std::string about;  ///< the issuer, or the API
};

/// What was found there.
struct LookupAnswer {
    bool is_there = false;      ///< else nothing of this kind is; the rest is empty
    ServerMetadata server;      ///< For::Issuer
    ResourceMetadata resource;  ///< For::Resource
    std::string named;          ///< For::Challenge: https
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("is_there", self.is_there);
        archive("server", self.server);
        archive("resource", self.resource);
        archive("named", self.named);
    }
};

/// Forks a process that can reach the server of `lookup.url` alone and locks itself up before it asks; waits for what
/// it says as long as `talk` may, and ends it in any case. Before a secret is in this process, single-threaded.
/// Errors: those of ask_provider, read_server_metadata and read_resource_metadata; those of ProviderTalk::reach;
/// Timeout, Cancelled (as `talk`); Protocol (the process says what it should not, or nothing); Io.
[[nodiscard]] Result<LookupAnswer> look_up(ProviderTalk& talk, const profiles::UpstreamConfig& upstream,
                                           const Lookup& lookup);

/// For look_up: what the process says, and how that is read and checked. Pure; what cannot be is Protocol.
[[nodiscard]] std::string encode_lookup(const Result<LookupAnswer>& answer);
[[nodiscard]] Result<LookupAnswer> decode_lookup(std::string_view bytes, const Lookup& lookup);

}  // namespace sanctum::vault
