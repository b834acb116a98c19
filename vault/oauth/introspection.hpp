// SPDX-License-Identifier: Apache-2.0
// What a provider says of a token that says nothing of itself (RFC 7662 2.2). Pure.
#pragma once

#include "vault/http/http_client.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/oauth/token_binding.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sanctum::vault {

struct Introspection {
    std::optional<std::vector<std::string>> scopes;  ///< sorted; absent: not said
    std::optional<std::vector<DetailMembers>> details;  ///< RFC 9396 9.2; absent: not said
    std::optional<WallTime> expires;                 ///< `exp`
    TokenBinding binding;
};

/// Reads the answer to a question about a token that was just issued. Faults: Misconfigured (we may not ask), by
/// `question.invalid_grant` a token that is not active; Protocol, RateLimited, Unavailable as read_token_answer().
[[nodiscard]] std::variant<Introspection, SourceFailure> read_introspection(const HttpResponse& response,
                                                                            const TokenQuestion& question);

}  // namespace sanctum::vault
