// SPDX-License-Identifier: Apache-2.0
// Which folders must not be renamed in a mission that delegates.
//
// A child mission covers the same places as its parent (masks, files that run later, a grant inside of another). It
// finds them by their paths, and a living agent of the parent could have moved the folder above one of them. A mount
// point cannot be moved from where it is seen, so every folder between a writable grant and such a place is bound onto
// itself, in the parent and in all of its children.
#pragma once

#include "profiles/schema/mission.hpp"

#include <string>
#include <vector>

namespace sanctum::launcher {

struct PinnedFolder {
    std::string source;  ///< below the grant's source
    std::string target;  ///< inside
    std::string grant;   ///< source of the grant that holds it
};

/// The folders strictly between the innermost grant around each of `guarded` (paths inside) and that path, where that
/// grant is writable; sorted by target, each once. Pure.
[[nodiscard]] std::vector<PinnedFolder> pinned_folders(const std::vector<profiles::Mount>& grants,
                                                       const std::vector<std::string>& guarded);

}  // namespace sanctum::launcher
