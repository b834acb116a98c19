// SPDX-License-Identifier: Apache-2.0
// The caller's own settings of git: without them git inside has no name to commit with, and knows of no hooks.
#pragma once

#include <string>
#include <vector>

namespace sanctum::console {

/// What of it belongs into `read` of a profile.
struct GitSettings {
    std::vector<std::string> read;    ///< as one writes them (`~/.gitconfig`), existing; files that it names behind it
    std::vector<std::string> doubts;  ///< variables that may hold a secret or lead to one, sorted; empty: none
};

/// Looks at `~/.gitconfig` and `~/.config/git/config` (git-config(1), "Files") of `home`. What git cannot read, or
/// this user may not, is a doubt by its path.
[[nodiscard]] GitSettings find_git_settings(const std::string& home);

}  // namespace sanctum::console
