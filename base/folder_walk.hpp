// SPDX-License-Identifier: Apache-2.0
// Walking a folder that somebody hostile may own: no link is followed, depth and number of entries are bounded, and a
// folder that changes meanwhile makes an error, never an escape.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <string>

namespace sanctum {

/// One entry of the walk, relative to its root (`a/b`), with its kind from the folder itself (no stat).
struct WalkEntry {
    const std::string& path;
    const char* name;
    enum class Kind : unsigned char { File, Folder, Link, Socket, Other } kind;
};

/// What to do with a folder after it was seen.
enum class Descend : unsigned char { Yes, No };

/// Calls `visit` for every entry below `root`, a folder before its content, entries of one folder in no order.
/// A folder that may not be read is passed over: the agent's user cannot read it either. Errors: Io, NotFound, Limit
/// (kWalkEntriesMax, kWalkDepthMax).
[[nodiscard]] Status walk_folder(const std::string& root, const std::function<Descend(const WalkEntry&)>& visit);

}  // namespace sanctum
