// SPDX-License-Identifier: Apache-2.0
// What an authorization server publishes of itself: no crash; what is taken names https addresses alone, and never
// moves the token endpoint that is configured.
#include "profiles/schema/values.hpp"
#include "vault/oauth/server_metadata.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

namespace {

using namespace sanctum;
using namespace sanctum::vault;

constexpr const char* kIssuer = "https://issuer.example.test/";
constexpr const char* kTokenEndpoint = "https://issuer.example.test/oauth/token";

void require(bool holds) {
    if (!holds) std::abort();
}

void require_https(const std::string& url) {
    require(url.empty() || std::holds_alternative<std::string>(profiles::parse_https_url(url)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const std::string& url : metadata_urls("https://" + std::string(bytes))) {
        require(url.starts_with("https://") && url.find("/.well-known/o") != std::string::npos);
    }
    HttpResponse response;
    response.status = 200;
    response.headers = {{"content-type", "application/json"}};
    response.body = Secret(bytes);
    const auto metadata = read_server_metadata(response, kIssuer);
    if (!metadata.has_value()) return 0;
    require(metadata->issuer == kIssuer);
    const MutualTlsEndpoints& mutual = metadata->mutual_tls;
    for (const std::string& url : {mutual.token_endpoint, mutual.revocation_endpoint, mutual.introspection_endpoint,
                                   mutual.device_authorization_endpoint, mutual.pushed_authorization_endpoint}) {
        require_https(url);
    }
    profiles::IdentityClient client;
    client.token_endpoint = kTokenEndpoint;
    const auto completed = complete_client(client, *metadata);
    if (!completed.has_value()) {
        require(!metadata->token_endpoint.empty() && metadata->token_endpoint != kTokenEndpoint);
        return 0;
    }
    require(completed->token_endpoint == kTokenEndpoint);
    require_https(completed->authorization_endpoint);
    require_https(completed->device_authorization_endpoint);
    require_https(completed->pushed_authorization_endpoint);
    return 0;
}
