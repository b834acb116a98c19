// SPDX-License-Identifier: Apache-2.0
// Files that hold a secret of the operator's, and when one of them is another. For the helper of CommandRunner only.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sanctum::vault {

/// Watches files by their folders (inotify(7)), so that one that is replaced, or whose symbolic link leads elsewhere,
/// is seen as well. Single thread.
class WatchedFiles {
public:
    /// Absolute paths; an empty one is never watched. What cannot be watched never changes: whoever reads a file reads
    /// it afresh all the same.
    explicit WatchedFiles(std::vector<std::string> files);

    /// Readable when take_changes() has something to look at; -1: nothing is watched.
    [[nodiscard]] int fd() const { return inotify_.get(); }
    /// Indexes of the files that are other ones than at the last call, or are gone.
    [[nodiscard]] std::vector<std::size_t> take_changes();

private:
    /// What makes a file the same one: device, inode, size, both times in ns, owner and mode.
    using State = std::array<std::int64_t, 7>;
    [[nodiscard]] static State state_of(const std::string& file);
    void watch_folders();

    std::vector<std::string> files_;
    std::vector<State> states_;
    UniqueFd inotify_;
};

/// Reads a file whose content is a secret into `bytes`, and says how many it took; all of them mean that there may be
/// more. Errors: as profiles::open_owned_file with Secrecy::Private; Io.
[[nodiscard]] Result<std::size_t> read_secret_file(const std::string& file, std::vector<char>& bytes);

}  // namespace sanctum::vault
