// SPDX-License-Identifier: Apache-2.0
// What the store keeps of a user of a GitHub App, so that all missions of this machine use one token: a refresh at
// GitHub ends every token that the user had from the app. Pure.
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <optional>

namespace sanctum::vault {

/// One of the two tokens at least.
struct GithubTokens {
    Secret access;   ///< the user's own (`ghu_…`); empty: none was asked for yet
    Secret refresh;  ///< `ghr_…`; empty: the access token does not run out
    std::optional<WallTime> ends;  ///< of the access token, by GitHub's clock; absent: GitHub did not say
};

/// The item as somebody stored it, a refresh token or a token that does not run out; or as github_item() writes it.
/// Errors: Protocol (neither); nothing of the item is in the sentence.
[[nodiscard]] Result<GithubTokens> parse_github_item(const Secret& item);

/// One line: `REFRESH ACCESS MILLISECONDS`, the last the access token's end since 1970, 0 where it is not known.
/// Precondition: there are both tokens, as bearer tokens are written (no space in them).
[[nodiscard]] Secret github_item(const GithubTokens& tokens);

}  // namespace sanctum::vault
