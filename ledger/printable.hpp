// SPDX-License-Identifier: Apache-2.0
// Words that somebody else chose (an agent's process names, paths, hosts), made safe for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace sanctum::ledger {

/// Printable ASCII stays; a backslash is doubled; everything else is shown as `\n`, `\x1b` or `\u{202e}`. Nothing is
/// cut. SECURITY: no control, bidi, invisible or look-alike character reaches the operator's terminal.
[[nodiscard]] std::string printable(std::string_view text);

/// `text` as one word of a command to paste into bash, zsh or ksh: bare where nothing in it is special, else in quotes;
/// with a byte outside printable ASCII as `$'…'`, such bytes in octal (POSIX.1-2024, XCU 2.2.4). Already safe for a
/// terminal: printable() would double its backslashes.
[[nodiscard]] std::string shell_word(std::string_view text);

}  // namespace sanctum::ledger
