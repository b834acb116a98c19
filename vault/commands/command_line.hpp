// SPDX-License-Identifier: Apache-2.0
// How each of this program's command lines ends when nothing is to be done.
#pragma once

namespace CLI {
class App;
class ParseError;
}

namespace sanctum::vault {

/// Prints the help or the version that was asked for, or `program: mistake (command --help)` on standard error.
/// Returns the exit code: 0, or 2 for a mistake.
[[nodiscard]] int end_at_command_line(const CLI::App& app, const CLI::ParseError& error);

}  // namespace sanctum::vault
