// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/github_scopes.hpp"

#include "base/wire/archive.hpp"
#include "vault/http/json_body.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>
#include <set>

namespace sanctum::vault {
namespace {

constexpr std::string_view kAlwaysGiven = "metadata:read";  // GitHub adds it to every token

int rank(std::string_view access) {
    if (access == "read") return 1;
    if (access == "write") return 2;
    return access == "admin" ? 3 : 0;
}

Result<std::map<std::string, std::string>> permissions_of(const std::vector<std::string>& scopes) {
    std::map<std::string, std::string> permissions;
    for (const std::string& scope : scopes) {
        const std::size_t colon = scope.find(':');
        const std::string access = colon == std::string::npos ? "" : scope.substr(colon + 1);
        if (rank(access) == 0) {
            return Error{Errc::NotPermitted, "scope " + scope + " is no permission of a GitHub App; say with " +
                                                 "scope_names what it is called there (as in \"contents:write\")"};
        }
        std::string& known = permissions[scope.substr(0, colon)];
        if (rank(known) < rank(access)) known = access;
    }
    return permissions;
}

}  // namespace

std::vector<std::string> GithubAsk::scopes() const {
    std::vector<std::string> out;
    for (const auto& [permission, access] : permissions) out.push_back(permission + ":" + access);
    return out;
}

std::string GithubAsk::repositories_json() const { return json_list(repositories); }

std::string GithubAsk::permissions_json() const {
    std::string json = "{";
    for (const auto& [permission, access] : permissions) {
        if (!json.ends_with('{')) json += ",";
        wire::append_json_string(json, permission);
        json += ":";
        wire::append_json_string(json, access);
    }
    return json + "}";
}

Result<GithubAsk> github_ask(const profiles::ProviderAccount& account, const SourceNeed& need) {
    GithubAsk ask;
    SANCTUM_TRY(ask.permissions, permissions_of(provider_scopes(account, need.scopes)));
    std::set<std::string> names;
    std::set<std::string> owners;
    if (const auto repositories = need.resources.find("repo"); repositories != need.resources.end()) {
        for (const std::string& repository : repositories->second) {
            const std::size_t slash = repository.find('/');
            if (slash != std::string::npos) owners.insert(repository.substr(0, slash));
            std::string name = slash == std::string::npos ? repository : repository.substr(slash + 1);
            if (name.ends_with(".git")) name.resize(name.size() - 4);
            names.insert(std::move(name));
        }
    }
    if (owners.size() > 1) return Error{Errc::NotPermitted, "one installation has repositories of one owner"};
    if (!owners.empty()) ask.owner = *owners.begin();
    ask.repositories.assign(names.begin(), names.end());
    return ask;
}

std::vector<std::string> github_scopes(const std::vector<std::pair<std::string, std::string>>& permissions,
                                       const GithubAsk& ask) {
    const std::vector<std::string> asked = ask.scopes();
    std::vector<std::string> received;
    for (const auto& [permission, access] : permissions) {
        const std::string scope = permission + ":" + access;
        const bool was_asked = std::find(asked.begin(), asked.end(), scope) != asked.end();
        if (scope != kAlwaysGiven || was_asked) received.push_back(scope);
    }
    std::sort(received.begin(), received.end());
    return received;
}

bool is_same_name(std::string_view a, std::string_view b) {
    const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return small(x) == small(y); });
}

std::optional<GithubMismatch> selection_mismatch(const GithubAsk& ask, std::string_view selection) {
    if (ask.repositories.empty() || selection == "selected") return std::nullopt;
    if (selection == "all") {
        return GithubMismatch{SourceFault::ScopeTooWide, "the token is good for all repositories of the installation"};
    }
    return GithubMismatch{SourceFault::Protocol, "the answer does not say which repositories the token is good for"};
}

std::optional<GithubMismatch> repositories_mismatch(const GithubAsk& ask, std::string_view selection,
                                                    const std::optional<std::vector<std::string>>& full_names) {
    if (auto wrong = selection_mismatch(ask, selection)) return wrong;
    if (ask.repositories.empty()) return std::nullopt;
    if (!full_names) return selection_mismatch(ask, "");
    const auto has = [](const std::vector<std::string>& names, const std::string& name) {
        return std::any_of(names.begin(), names.end(), [&](const std::string& one) { return is_same_name(one, name); });
    };
    std::vector<std::string> asked;
    for (const std::string& name : ask.repositories) asked.push_back(ask.owner.empty() ? name : ask.owner + "/" + name);
    std::vector<std::string> given;
    for (const std::string& name : *full_names) {
        given.push_back(ask.owner.empty() ? name.substr(name.find('/') + 1) : name);
        if (has(asked, given.back())) continue;
        return GithubMismatch{SourceFault::ScopeTooWide,
                              "the token is good for another repository than was asked for: " + provider_words(name)};
    }
    for (const std::string& name : asked) {
        if (has(given, name)) continue;
        return GithubMismatch{SourceFault::ScopeUnavailable, "the token is not good for " + name};
    }
    return std::nullopt;
}

HttpRequest github_request(const std::string& api, std::string method, const std::string& path) {
    HttpRequest request;
    request.method = std::move(method);
    request.url = api + path;
    request.headers = {{"accept", "application/vnd.github+json"}, {"x-github-api-version", "2022-11-28"}};
    return request;
}

SourceFailure github_refusal(const std::string& who, const HttpResponse& response, WallTime now) {
    const int status = response.status;
    const bool is_limited = status == 429 || (status == 403 && response.header("x-ratelimit-remaining") == "0");
    SourceFailure refused{SourceFault::Failed, who + "status " + std::to_string(status), Milliseconds(0)};
    if (is_limited) refused.fault = SourceFault::RateLimited;
    else if (status == 502 || status == 504) refused.fault = SourceFault::NoAnswer;
    else if (status >= 500) refused.fault = SourceFault::Unavailable;
    if (is_limited) refused.retry_after = retry_after_of(response, now);
    return refused;
}

}  // namespace sanctum::vault
