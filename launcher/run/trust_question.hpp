// SPDX-License-Identifier: Apache-2.0
// The one question sanctum-run may ask: whether a profile that came from elsewhere is to be trusted. On the terminal
// only; without one it is an error that says what to run.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "profiles/schema/trust.hpp"

#include <string>

namespace sanctum::launcher {

/// Succeeds for shipped, operator's and pinned profiles. Others are asked about on /dev/tty (y pins them) where a
/// person is there, under `exposure`, the line that says what the profile exposes.
/// Errors: Denied (answered no, or nobody to ask; with the exact command), Io, Protocol.
[[nodiscard]] Status require_trust(const profiles::ProfileFile& file, const std::string& exposure,
                                   const Places& places);

/// `sanctum trust PATH`, to paste: the path as ledger::shell_word() writes it.
[[nodiscard]] std::string trust_command(const std::string& path);

/// True for `y` and `yes` in any case, blanks around them allowed; anything else is no.
[[nodiscard]] bool is_yes(std::string_view answer);

}  // namespace sanctum::launcher
