// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/server_metadata.hpp"

#include "profiles/schema/values.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/oauth/token_answer.hpp"

#include <variant>

namespace sanctum::vault {
namespace {

// `place`: before the name, in the sentence.
Status take_endpoint(const JsonAnswer& json, std::string_view name, std::string& to, std::string_view place = {}) {
    if (!json.has(name)) return {};
    to = json.text(name);
    if (std::holds_alternative<std::string>(profiles::parse_https_url(to))) return {};
    std::string what = "its metadata has a ";
    what.append(place).append(name).append(" that is no plain https address");
    return Error{Errc::Protocol, std::move(what)};
}

Status take_aliases(JsonAnswer& json, MutualTlsEndpoints& to) {
    constexpr std::string_view kName = "mtls_endpoint_aliases";
    constexpr std::string_view kPlace = "mtls_endpoint_aliases.";
    const JsonAnswer aliases = json.take_object(kName);
    SANCTUM_CHECK(take_endpoint(aliases, "token_endpoint", to.token_endpoint, kPlace));
    SANCTUM_CHECK(take_endpoint(aliases, "revocation_endpoint", to.revocation_endpoint, kPlace));
    SANCTUM_CHECK(take_endpoint(aliases, "introspection_endpoint", to.introspection_endpoint, kPlace));
    SANCTUM_CHECK(take_endpoint(aliases, "device_authorization_endpoint", to.device_authorization_endpoint, kPlace));
    return take_endpoint(aliases, "pushed_authorization_request_endpoint", to.pushed_authorization_endpoint, kPlace);
}

void fill(std::string& configured, const std::string& published) {
    if (configured.empty()) configured = published;
}

// RFC 8705 5: where there is an alias, it goes before the endpoint of the same name.
const std::string& choose(bool shows_certificate, const std::string& alias, const std::string& usual) {
    return shows_certificate && !alias.empty() ? alias : usual;
}

}  // namespace

std::array<std::string, 2> metadata_urls(const std::string& issuer) {
    constexpr std::string_view kScheme = "https://";
    const std::size_t slash = issuer.find('/', kScheme.size());
    const std::string origin = issuer.substr(0, slash);
    std::string path = slash == std::string::npos ? std::string() : issuer.substr(slash);
    if (path.ends_with('/')) path.pop_back();
    return {origin + "/.well-known/oauth-authorization-server" + path,
            origin + path + "/.well-known/openid-configuration"};
}

Result<ServerMetadata> read_server_metadata(const HttpResponse& response, const std::string& issuer) {
    SANCTUM_TRY(JsonAnswer json, JsonAnswer::parse(response));
    ServerMetadata metadata;
    metadata.issuer = json.text("issuer");
    // SECURITY: whoever answers for another issuer would get our codes and our client's secret (RFC 8414 6.2).
    if (metadata.issuer != issuer) {
        return Error{Errc::Protocol, "its metadata is that of `" + provider_words(metadata.issuer) +
                                         "`, and asked was the issuer \"" + issuer + "\" (issuer strings are "
                                         "compared byte for byte)"};
    }
    SANCTUM_CHECK(take_endpoint(json, "authorization_endpoint", metadata.authorization_endpoint));
    SANCTUM_CHECK(take_endpoint(json, "token_endpoint", metadata.token_endpoint));
    SANCTUM_CHECK(take_endpoint(json, "revocation_endpoint", metadata.revocation_endpoint));
    SANCTUM_CHECK(take_endpoint(json, "introspection_endpoint", metadata.introspection_endpoint));
    SANCTUM_CHECK(take_endpoint(json, "device_authorization_endpoint", metadata.device_authorization_endpoint));
    SANCTUM_CHECK(take_endpoint(json, "pushed_authorization_request_endpoint", metadata.pushed_authorization_endpoint));
    SANCTUM_CHECK(take_aliases(json, metadata.mutual_tls));
    metadata.requires_pushed = json.boolean("require_pushed_authorization_requests").value_or(false);
    metadata.sends_issuer = json.boolean("authorization_response_iss_parameter_supported").value_or(false);
    metadata.scopes = json.texts("scopes_supported");
    metadata.challenge_methods = json.texts("code_challenge_methods_supported");
    metadata.detail_types = json.texts("authorization_details_types_supported");
    return metadata;
}

Result<profiles::IdentityClient> complete_client(profiles::IdentityClient client, const ServerMetadata& metadata) {
    const MutualTlsEndpoints& mutual = metadata.mutual_tls;
    const bool is_identified = client.authentication == profiles::ClientAuthentication::Tls;
    const std::string& token_endpoint =
        choose(client.shows_certificate(), mutual.token_endpoint, metadata.token_endpoint);
    fill(client.token_endpoint, token_endpoint);
    if (client.token_endpoint.empty()) {
        return Error{Errc::Denied, "its metadata names no token_endpoint, or is not where it should be: write it"};
    }
    const bool is_published =
        client.token_endpoint == token_endpoint || client.token_endpoint == metadata.token_endpoint;
    if (!token_endpoint.empty() && !is_published) {
        return Error{Errc::Denied, "its metadata names the token endpoint " + token_endpoint +
                                       ", and the configuration " + client.token_endpoint +
                                       ": correct token_endpoint or issuer"};
    }
    fill(client.revocation_endpoint,
         choose(is_identified, mutual.revocation_endpoint, metadata.revocation_endpoint));
    fill(client.introspection_endpoint,
         choose(is_identified, mutual.introspection_endpoint, metadata.introspection_endpoint));
    fill(client.authorization_endpoint, metadata.authorization_endpoint);
    fill(client.device_authorization_endpoint,
         choose(is_identified, mutual.device_authorization_endpoint, metadata.device_authorization_endpoint));
    fill(client.pushed_authorization_endpoint,
         choose(is_identified, mutual.pushed_authorization_endpoint, metadata.pushed_authorization_endpoint));
    client.requires_pushed = client.requires_pushed || metadata.requires_pushed;
    return client;
}

}  // namespace sanctum::vault
