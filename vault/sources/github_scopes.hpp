// SPDX-License-Identifier: Apache-2.0
// What GitHub's apps are asked for and give: repositories of one owner, and permissions. Shared by both kinds of
// tokens. Pure.
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"
#include "vault/sources/source.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sanctum::vault {

/// What one token may at most do.
struct GithubAsk {
    std::string owner;                      ///< empty: the need names no repository
    std::vector<std::string> repositories;  ///< names without the owner, sorted
    std::map<std::string, std::string> permissions;  ///< permission → access

    /// `permission:access`, sorted.
    [[nodiscard]] std::vector<std::string> scopes() const;
    /// `["name",…]` and `{"permission":"access",…}`.
    [[nodiscard]] std::string repositories_json() const;
    [[nodiscard]] std::string permissions_json() const;
};

/// The resource `repo` of the need names the repositories, `owner/name`. Scopes are `permission:access`; of two for one
/// permission the higher counts. NotPermitted names a scope that is no permission of GitHub's, or repositories of two
/// owners.
[[nodiscard]] Result<GithubAsk> github_ask(const profiles::ProviderAccount& account, const SourceNeed& need);

/// The permissions of an answer as scopes, sorted; without the one that GitHub adds to every token unasked.
[[nodiscard]] std::vector<std::string> github_scopes(
    const std::vector<std::pair<std::string, std::string>>& permissions, const GithubAsk& ask);

/// In which repositories a token is good, as GitHub's answer says it; nothing where it was asked for these alone.
struct GithubMismatch {
    SourceFault fault = SourceFault::Protocol;  ///< ScopeTooWide, ScopeUnavailable, or Protocol: it does not say
    std::string what;
};
/// `selection`: `repository_selection` of the answer, `all` or `selected`.
[[nodiscard]] std::optional<GithubMismatch> selection_mismatch(const GithubAsk& ask, std::string_view selection);
/// `full_names`: `owner/name` of each of `repositories`; absent: there is no such list.
[[nodiscard]] std::optional<GithubMismatch> repositories_mismatch(
    const GithubAsk& ask, std::string_view selection, const std::optional<std::vector<std::string>>& full_names);

/// GitHub's names of users, organisations and repositories are the same in any case of letters.
[[nodiscard]] bool is_same_name(std::string_view a, std::string_view b);

/// A request to the API at `api` (no slash at its end) with the headers that it wants.
[[nodiscard]] HttpRequest github_request(const std::string& api, std::string method, const std::string& path);

/// What a status other than success means where it means the same for both kinds of tokens: a rate limit, with how long
/// to wait, a gateway that lost the answer, a server that is down. Others: Failed. `who` begins the sentence.
[[nodiscard]] SourceFailure github_refusal(const std::string& who, const HttpResponse& response, WallTime now);

}  // namespace sanctum::vault
