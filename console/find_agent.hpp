// SPDX-License-Identifier: Apache-2.0
// Where a program is installed for this user, and what must be readable in the sandbox so that it runs there.
#pragma once

#include <string>
#include <vector>

namespace sanctum::console {

/// Where to look; tests point it at a scratch folder.
struct SearchPlaces {
    std::string path;   ///< PATH
    std::string home;
};

struct FoundProgram {
    std::string path;               ///< as found; empty: nowhere
    std::vector<std::string> read;  ///< places outside of the sandbox's own /usr, /bin, /opt, …, sorted
    std::vector<std::string> path_folders;  ///< what PATH must name besides the standard folders, in order of search
    bool is_wrapper = false;        ///< a shell script of the user's: what it starts is not known
};

/// Looks through PATH, ~/.local/bin, ~/bin, /usr/local/bin, and the folders of nvm, npm, npx, volta, bun and fnm.
/// A link's target, the packages beside a package, and the interpreter of a script are part of what must be readable.
[[nodiscard]] FoundProgram find_program(const std::string& name, const SearchPlaces& places);

}  // namespace sanctum::console
