// SPDX-License-Identifier: Apache-2.0
// The command list at the begin of a git push (gitprotocol-pack(5), "Reference Update Request and Packfile Transfer"):
// which refs it moves, read before anything is sent.
#pragma once

#include "base/result.hpp"
#include "profiles/policy/decide.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace sanctum::interceptor {

/// The ref updates, once `body_so_far` holds the whole list (up to its flush packet); nullopt: more is needed.
///
/// An empty list (a lone flush packet, git's probe before a large push) gives no updates. Shallow lines are passed
/// over.
/// A signed push (push-cert) is refused: its commands lie in text that the server may read differently.
/// Errors: Protocol (not a command list, ids or names malformed, a certificate), Limit (bytes, refs).
[[nodiscard]] Result<std::optional<std::vector<profiles::RefUpdate>>> read_push_commands(std::string_view body_so_far);

}  // namespace sanctum::interceptor
