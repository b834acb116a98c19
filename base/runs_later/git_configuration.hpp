// SPDX-License-Identifier: Apache-2.0
// git's configuration files, as far as it matters which of their variables make git run something or go elsewhere.
// See git-config(1), section "Syntax". Strict: what this reader does not understand is an error, and the caller then
// trusts nothing of the file.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sanctum::runs_later {

/// One assignment. `key` is `section.subsection.name` with section and name in lower case.
struct GitVariable {
    std::string section;
    std::string subsection;
    std::string name;
    std::string value;  ///< as written, continuation lines joined, without comment
    std::size_t begin = 0;  ///< bytes of the file that make the assignment
    std::size_t end = 0;

    [[nodiscard]] std::string key() const;
};

/// All variables in order. Pure. Errors: Protocol.
[[nodiscard]] Result<std::vector<GitVariable>> parse_git_configuration(std::string_view text);

/// True when git runs the value as a program, reads more configuration from it, or goes to another place because of it.
[[nodiscard]] bool is_executing(const GitVariable& variable);

/// Executing variables of `after` that `before` does not have with the same value. Errors: Protocol.
[[nodiscard]] Result<std::vector<GitVariable>> new_executing_variables(std::string_view before, std::string_view after);

/// `after` without its new executing variables; executing ones of `before` that are gone are put back at the end.
/// Errors: Protocol.
[[nodiscard]] Result<std::string> without_new_executing_variables(std::string_view before, std::string_view after);

}  // namespace sanctum::runs_later
