// SPDX-License-Identifier: Apache-2.0
// Placeholders: what an agent that logged in holds instead of its tokens. They look like tokens and are good for
// nothing; the requests that carry them get the real one outside.
#pragma once

#include "base/secret.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::vault {

/// A token's stand-in, as long as the token and at least kPlaceholderCharsMin.
///
/// SECURITY: of the token itself there is nothing in it but its length, and of a JWT (RFC 7519) the claims that
/// `claims` names; its algorithm is `none` and its signature is none. `beginning`: how tokens of this kind begin, from
/// the catalog and never from the token. Random in its rest, so that no two are the same.
[[nodiscard]] std::string placeholder_of(const Secret& token, std::string_view beginning,
                                         const std::vector<std::string>& claims);

/// Text claims of a JWT that `claims` names, and those inside the objects that it names, by their own names. Empty when
/// the token is no JWT.
[[nodiscard]] std::map<std::string, std::string> texts_of_claims(const Secret& token,
                                                                 const std::vector<std::string>& claims);

inline constexpr std::size_t kPlaceholderCharsMin = 48;

}  // namespace sanctum::vault
