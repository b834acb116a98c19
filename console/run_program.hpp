// SPDX-License-Identifier: Apache-2.0
// Running one of our own programs and reading what it prints.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace sanctum::console {

struct ProgramEnd {
    int code = 0;         ///< exit code, or 128 + signal
    std::string output;   ///< standard output
};

/// Starts `program` (a path) with `arguments`, standard input from /dev/null, standard error inherited or discarded,
/// and waits for its end. Errors: NotFound (no such program), Limit (more output than `bytes_max`), Io.
enum class ErrorStream { Inherited, Discarded };
[[nodiscard]] Result<ProgramEnd> run_program(const std::string& program, const std::vector<std::string>& arguments,
                                             ErrorStream errors, std::size_t bytes_max);

}  // namespace sanctum::console
