// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/resource_metadata.hpp"

#include "profiles/schema/values.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>
#include <string_view>
#include <variant>

namespace sanctum::vault {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::string_view kWellKnown = "/.well-known/oauth-protected-resource";

bool is_plain_https(const std::string& url) {
    return std::holds_alternative<std::string>(profiles::parse_https_url(url));
}

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Where `name=` stands as a parameter of a challenge (RFC 9110 11.2): at a beginning or behind a blank or comma, and
// not within a quoted text; npos: nowhere.
std::size_t find_parameter(std::string_view challenge, std::string_view name) {
    bool is_quoted = false;
    for (std::size_t i = 0; i < challenge.size(); ++i) {
        if (challenge[i] == '\\' && is_quoted) {
            ++i;
        } else if (challenge[i] == '"') {
            is_quoted = !is_quoted;
        } else if (!is_quoted && (i == 0 || challenge[i - 1] == ' ' || challenge[i - 1] == ',')) {
            const std::string_view found = challenge.substr(i, name.size());
            const bool is_it = std::equal(found.begin(), found.end(), name.begin(), name.end(),
                                          [](char a, char b) { return small(a) == b; });
            if (is_it && challenge.substr(i + name.size()).starts_with('=')) return i + name.size() + 1;
        }
    }
    return std::string_view::npos;
}

std::string listed(const std::vector<std::string>& issuers) {
    std::string words;
    for (const std::string& issuer : issuers) words += (words.empty() ? "" : ", ") + issuer;
    return words;
}

}  // namespace

std::string resource_metadata_url(const std::string& resource) {
    const std::size_t slash = std::min(resource.find('/', kScheme.size()), resource.size());
    const std::string path = resource.substr(slash);
    std::string url = resource.substr(0, slash);
    url += kWellKnown;
    return path == "/" ? url : url + path;
}

std::string challenged_metadata_url(const HttpResponse& response) {
    if (response.status != 401) return {};
    const std::string_view challenge = response.header("www-authenticate");
    const std::size_t at = find_parameter(challenge, "resource_metadata");
    if (at == std::string_view::npos) return {};
    std::string_view value = challenge.substr(at);
    const bool is_quoted = value.starts_with('"');
    if (is_quoted) value.remove_prefix(1);
    std::string url(value.substr(0, value.find_first_of(is_quoted ? "\"" : ", ")));
    return is_plain_https(url) ? url : std::string();
}

Result<ResourceMetadata> read_resource_metadata(const HttpResponse& response, const std::string& resource) {
    SANCTUM_TRY(const JsonAnswer json, JsonAnswer::parse(response));
    ResourceMetadata metadata;
    metadata.resource = json.text("resource");
    // SECURITY: whoever speaks for another API would choose who gets our client's secret (RFC 9728 7.3).
    if (metadata.resource != resource) {
        return Error{Errc::Protocol, "its metadata is that of `" + provider_words(metadata.resource) +
                                         "`, and the configuration says resource = \"" + resource + "\""};
    }
    metadata.authorization_servers = json.texts("authorization_servers").value_or(std::vector<std::string>{});
    for (const std::string& issuer : metadata.authorization_servers) {
        if (is_plain_https(issuer)) continue;
        return Error{Errc::Protocol, "its metadata names the authorization server `" + provider_words(issuer) +
                                         "`, which is no plain https address"};
    }
    return metadata;
}

Result<std::string> choose_issuer(const ResourceMetadata& metadata, const std::string& configured) {
    const std::vector<std::string>& issuers = metadata.authorization_servers;
    if (issuers.empty()) {
        return Error{Errc::Denied, "its metadata names no authorization server: write `issuer` instead of `resource`"};
    }
    if (configured.empty() && issuers.size() == 1) return issuers.front();
    if (configured.empty()) {
        return Error{Errc::Denied, "it takes the tokens of several authorization servers: write `issuer`, one of " +
                                       listed(issuers)};
    }
    if (std::find(issuers.begin(), issuers.end(), configured) != issuers.end()) return configured;
    return Error{Errc::Denied, "it does not take tokens of issuer = \"" + configured + "\", but of " + listed(issuers)};
}

}  // namespace sanctum::vault
