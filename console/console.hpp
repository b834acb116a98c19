// SPDX-License-Identifier: Apache-2.0
// What every command of `sanctum` gets and gives: places, streams, how to write to them, exit codes.
#pragma once

#include "base/clock.hpp"
#include "base/places.hpp"
#include "base/result.hpp"

#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::console {

/// Exit codes of `sanctum`; part of the public contract.
enum class Exit : int {
    Ok = 0,
    Failed = 1,
    Usage = 2,        ///< wrong options, or cancelled
    Finding = 3,      ///< would deny, verify failed, check found mistakes
    VaultLocked = 4,
    Unreachable = 5,  ///< a mission or a program of ours does not answer
};

/// How text may look.
struct Look {
    bool has_colour = false;
    bool has_utf8 = false;
};

/// NO_COLOR, CLICOLOR_FORCE, TERM=dumb, the locale, and whether standard output is a terminal.
[[nodiscard]] Look look_of(const std::map<std::string, std::string>& environment, bool is_terminal);

/// Everything outside of a command's own options. Tests make one with string streams and a scratch state folder.
struct Console {
    Places places;
    std::map<std::string, std::string> environment;
    std::string working_directory;
    Look look;
    std::ostream& out;
    std::ostream& err;
    const Clock& clock;

    [[nodiscard]] std::string variable(const std::string& name) const;
    /// `~/x`, `x` → absolute, without resolving links.
    [[nodiscard]] std::string absolute(const std::string& path) const;
};

/// The console of this process.
[[nodiscard]] Console console_of_this_process(std::ostream& out, std::ostream& err, const Clock& clock);

/// Prints `sanctum: what` and gives the exit code for the error's class.
Exit fail(const Console& console, const Error& error);
/// The same for a sentence.
Exit fail(const Console& console, std::string_view what, Exit code = Exit::Failed);

/// Rows in columns, the first row a heading; the last column is not padded. Cells are made printable.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

/// `1m 30s`, `2h 5m`, `45s`.
[[nodiscard]] std::string duration_in_words(std::int64_t ms);

/// The whole command line (without argv[0]): parses, runs, returns the exit code. `--help` and `--version` print.
[[nodiscard]] Exit run_console(const std::vector<std::string>& arguments, Console& console);

}  // namespace sanctum::console
