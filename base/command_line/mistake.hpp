// SPDX-License-Identifier: Apache-2.0
// What is wrong with a command line, in the same words for all our programs.
#pragma once

#include <string>

namespace CLI {
class App;
class Error;
}

namespace sanctum {

/// Gives every option and argument of `app` and its commands a check that refuses an empty value: it is a variable
/// that was not set, and `--ttl ""` would silently be no limit. Call it when all are there.
void refuse_empty_values(CLI::App& app);

/// One sentence for what `app`, which has just refused its words with `error`, was given: an unknown option is named
/// before everything else, with the one that was meant. Holds the words as they were typed: make it printable.
[[nodiscard]] std::string describe_mistake(const CLI::App& app, const CLI::Error& error);

/// `sanctum audit list`: the program and the commands that `app` has parsed so far, to be followed by `--help`.
[[nodiscard]] std::string parsed_command(const CLI::App& app);

}  // namespace sanctum
