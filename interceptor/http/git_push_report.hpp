// SPDX-License-Identifier: Apache-2.0
// The answer to a git push as git's server writes it (gitprotocol-pack(5), "Report Status"), for a push of which
// nothing was done. It is the only answer whose text git shows: of one with another status than 200 it reads nothing.
#pragma once

#include "interceptor/http/git_push_commands.hpp"

#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// Rejects every ref of `push`, which has to want a report: `reason` stands behind each ref, and `text` in lines before
/// them where the client takes them (side-band). Both are printable ASCII; `reason` is one line.
[[nodiscard]] std::string encode_push_rejection(const PushCommands& push, std::string_view reason,
                                                std::string_view text);

}  // namespace sanctum::interceptor
