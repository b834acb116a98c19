// SPDX-License-Identifier: Apache-2.0
// The command list at the begin of a git push (gitprotocol-pack(5), "Reference Update Request and Packfile Transfer"):
// which refs it moves, read before anything is sent.
#pragma once

#include "base/result.hpp"
#include "profiles/policy/decide.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::interceptor {

/// Digits in front of a packet that say its length, themselves included.
inline constexpr std::size_t kPacketLengthDigits = 4;

/// What a client says before it sends its objects.
struct PushCommands {
    std::vector<profiles::RefUpdate> updates;
    std::string capabilities;  ///< of the client, separated by spaces

    [[nodiscard]] bool has_capability(std::string_view name) const;
    /// Words for the server follow the list (`git push -o`), by which some merge, publish or run what no ref names.
    [[nodiscard]] bool has_options() const;
    /// It reads what became of each ref; one that does not takes any answer with status 200 for success.
    [[nodiscard]] bool wants_report() const;
    /// Largest packet of a multiplexed answer; 0: the client takes none.
    [[nodiscard]] std::size_t side_band_bytes() const;
};

/// The command list, once `body_so_far` holds the whole list (up to its flush packet); nullopt: more is needed.
///
/// An empty list (a lone flush packet, git's probe before a large push) gives no updates. Shallow lines are passed
/// over.
/// A signed push (push-cert) is refused: its commands lie in text that the server may read differently.
/// Errors: Protocol (not a command list, ids or names malformed, a certificate), Limit (bytes, refs).
[[nodiscard]] Result<std::optional<PushCommands>> read_push_commands(std::string_view body_so_far);

}  // namespace sanctum::interceptor
