// SPDX-License-Identifier: Apache-2.0
// What an authorization server publishes about itself (RFC 8414, OpenID Connect Discovery 1.0), checked. Pure.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

/// Where a client asks that shows a certificate (RFC 8705 5). Each is https or empty: not published.
struct MutualTlsEndpoints {
    std::string token_endpoint;
    std::string revocation_endpoint;
    std::string introspection_endpoint;
    std::string device_authorization_endpoint;
    std::string pushed_authorization_endpoint;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("token_endpoint", self.token_endpoint);
        archive("revocation_endpoint", self.revocation_endpoint);
        archive("introspection_endpoint", self.introspection_endpoint);
        archive("device_authorization_endpoint", self.device_authorization_endpoint);
        archive("pushed_authorization_endpoint", self.pushed_authorization_endpoint);
    }
};

/// The members that consents and tokens need. Endpoints are https or empty: not published.
struct ServerMetadata {
    std::string issuer;
    std::string authorization_endpoint;
    std::string token_endpoint;
    std::string revocation_endpoint;
    std::string introspection_endpoint;
    std::string device_authorization_endpoint;
    std::string pushed_authorization_endpoint;
    MutualTlsEndpoints mutual_tls;  ///< `mtls_endpoint_aliases`
    bool requires_pushed = false;  ///< `require_pushed_authorization_requests` (RFC 9126 5)
    bool sends_issuer = false;     ///< `authorization_response_iss_parameter_supported` (RFC 9207 3)
    std::optional<std::vector<std::string>> scopes;             ///< absent: not published
    std::optional<std::vector<std::string>> challenge_methods;  ///< absent: not published
    std::optional<std::vector<std::string>> detail_types;       ///< of RFC 9396 10; absent: not published
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("issuer", self.issuer);
        archive("authorization_endpoint", self.authorization_endpoint);
        archive("token_endpoint", self.token_endpoint);
        archive("revocation_endpoint", self.revocation_endpoint);
        archive("introspection_endpoint", self.introspection_endpoint);
        archive("device_authorization_endpoint", self.device_authorization_endpoint);
        archive("pushed_authorization_endpoint", self.pushed_authorization_endpoint);
        archive("mutual_tls", self.mutual_tls);
        archive("requires_pushed", self.requires_pushed);
        archive("sends_issuer", self.sends_issuer);
        archive("scopes", self.scopes);
        archive("challenge_methods", self.challenge_methods);
        archive("detail_types", self.detail_types);
    }
};

/// Where `issuer` publishes them: as RFC 8414 3.1 has it, and as OpenID Connect does; asked in this order.
[[nodiscard]] std::array<std::string, 2> metadata_urls(const std::string& issuer);

/// Reads an answer 200. Errors: Protocol (no JSON object; `issuer` is another than the one that was asked, byte for
/// byte, RFC 8414 3.3; an endpoint that is not https).
[[nodiscard]] Result<ServerMetadata> read_server_metadata(const HttpResponse& response, const std::string& issuer);

/// The client with the endpoints that its configuration leaves open; what the operator wrote wins. Where it shows a
/// certificate these are those for mutual TLS, if there are any: of what it asks with its identity if that is the
/// certificate, else of the token endpoint alone. Errors: Denied (the published token endpoints are others than the
/// configured one: one of the two is wrong, and a code would go there; or none is there).
[[nodiscard]] Result<profiles::IdentityClient> complete_client(profiles::IdentityClient client,
                                                               const ServerMetadata& metadata);

}  // namespace sanctum::vault
