// SPDX-License-Identifier: Apache-2.0
// Words that somebody else chose (an agent's process names, paths, hosts), made safe for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace sanctum::ledger {

/// Printable ASCII stays; a backslash is doubled; everything else is shown as `\n`, `\x1b` or `\u{202e}`. Nothing is
/// cut. SECURITY: no control, bidi, invisible or look-alike character reaches the operator's terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace sanctum::ledger
