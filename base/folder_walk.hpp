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

/// Told about a folder that is there and is not walked: its path relative to the root, and why.
using PassedOver = std::function<void(const std::string& path, const char* why)>;

/// Calls `visit` for every entry below `root`, a folder before its content, entries of one folder in no order.
/// Folders that may not be read, lie too deep or have too long a path are told to `passed_over`, and the walk goes on.
/// Without it those that may not be read are passed over (the agent's user cannot read them either) and the others are
/// an error. Errors: Io, NotFound, Limit (kWalkEntriesMax; kWalkDepthMax, PATH_MAX); in another file system than the
/// root's they name the place where that is mounted.
[[nodiscard]] Status walk_folder(const std::string& root, const std::function<Descend(const WalkEntry&)>& visit,
                                 const PassedOver& passed_over = nullptr);

}  // namespace sanctum
