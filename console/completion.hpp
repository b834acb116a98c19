// SPDX-License-Identifier: Apache-2.0
// Completions for shells and pages for man(1), from the command lines that the programs really parse.
#pragma once

#include "base/command_line/command_facts.hpp"
#include "base/result.hpp"
#include "console/console.hpp"

#include <string>
#include <vector>

namespace sanctum::console {

/// `sanctum` (with the commands of its vault) and `sanctum-run`. `own` is the console's own command line; the others
/// are asked for theirs. Errors: NotFound (a program is missing), Protocol, Io.
[[nodiscard]] Result<std::vector<CommandFacts>> all_command_lines(const Console& console, CommandFacts own);

/// A script for bash, to be read with `source` or put into bash-completion's folder.
[[nodiscard]] std::string bash_completion(const std::vector<CommandFacts>& programs);
/// A script for zsh: a file `_sanctum` in a folder of its fpath, or to be read with `source` after compinit.
[[nodiscard]] std::string zsh_completion(const std::vector<CommandFacts>& programs);
/// A script for fish: a file in its folder of completions.
[[nodiscard]] std::string fish_completion(const std::vector<CommandFacts>& programs);

/// A page of section 1, in man(7)'s macros.
[[nodiscard]] std::string manual_of_program(const CommandFacts& program);
/// A file format that has a page of section 5.
struct FormatPage {
    std::string name;  ///< of the page
    std::string what;  ///< one line, with the file's name
    std::string json_schema;
};
/// Its page: what each key of the JSON Schema is. Errors: Protocol.
[[nodiscard]] Result<std::string> manual_of_format(const FormatPage& page);

/// What a value or argument stands for, by the name that --help shows for it.
enum class ValueKind { Word, File, Profile, Mission };
[[nodiscard]] ValueKind kind_of_value(const std::string& name);

}  // namespace sanctum::console
