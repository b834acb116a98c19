// SPDX-License-Identifier: Apache-2.0
// What an API says of itself (RFC 9728): above all whose tokens it takes. Pure.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"

#include <string>
#include <vector>

namespace sanctum::vault {

/// The members that finding its authorization server takes.
struct ResourceMetadata {
    std::string resource;
    std::vector<std::string> authorization_servers;  ///< issuers, each a plain https address
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("resource", self.resource);
        archive("authorization_servers", self.authorization_servers);
    }
};

/// Where the API `resource` publishes it (3.1): the well-known part stands between host and path.
[[nodiscard]] std::string resource_metadata_url(const std::string& resource);

/// Where a 401 says that it is (`resource_metadata` of `WWW-Authenticate`, 5.1); empty: it does not, or the place is no
/// plain https address.
[[nodiscard]] std::string challenged_metadata_url(const HttpResponse& response);

/// Reads an answer 200. Errors: Protocol (no JSON object; `resource` is another than the one that was asked about, byte
/// for byte, 3.3; an authorization server that is no plain https address).
[[nodiscard]] Result<ResourceMetadata> read_resource_metadata(const HttpResponse& response,
                                                              const std::string& resource);

/// The server that tokens come from: `configured` where the operator names one, else the only one. Errors: Denied (the
/// API does not take tokens of the configured one, takes those of several or of none), with what to write.
[[nodiscard]] Result<std::string> choose_issuer(const ResourceMetadata& metadata, const std::string& configured);

}  // namespace sanctum::vault
