// SPDX-License-Identifier: Apache-2.0
// What git's configuration names in a workspace: a folder of hooks, a file that is included, the program of a command.
// The value stays as its owner wrote it, so it is no change; what it names is run or read all the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sanctum::runs_later {

/// Relative paths, sorted, of the places in `workspace` (absolute) that executing variables of one configuration name,
/// those of files that it includes with them. `configuration`: its relative path; `text`: its content. A place need not
/// be there yet. Relative values are read from the working trees of the repository, those of `include.path` from the
/// file's own folder. Paths that begin with `~`, and the workspace itself, are none. What git could not read names
/// nothing.
[[nodiscard]] std::vector<std::string> places_named_in(const std::string& workspace, const std::string& configuration,
                                                       std::string_view text);

}  // namespace sanctum::runs_later
