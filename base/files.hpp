// SPDX-License-Identifier: Apache-2.0
// Reading and writing files the careful way: bounded, without following a link at the end, atomically where it counts.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace sanctum {

/// Whole content of a regular file. Errors: NotFound, Io, Limit (larger than `bytes_max`), Unsupported (not regular).
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

/// The same from an open descriptor, from offset 0 (pread; the file position is not used).
[[nodiscard]] Result<std::string> read_all(int fd, std::size_t bytes_max);

/// Writes all of `bytes`, repeating short writes. Errors: Io.
[[nodiscard]] Status write_all(int fd, std::string_view bytes);

/// What a crash of the machine may take back after a file was replaced.
enum class AfterCrash : unsigned char {
    New,        ///< nothing: the new content is there (fsync of file and folder)
    OldOrNew,   ///< the whole change: whoever finds the old content makes the new one again (fsync of the file)
    Anything,   ///< everything: the caller syncs file and folder itself before anything depends on them
};

/// Replaces `path` so that a reader sees the old or the new content, never a part: temporary file in the same folder
/// (O_EXCL), written, synced as `after_crash` asks, renamed. Errors: Io.
[[nodiscard]] Status write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode,
                                           AfterCrash after_crash = AfterCrash::New);

/// fsync of a file or folder by its path. Errors: Io.
[[nodiscard]] Status sync_path(const std::string& path);

/// mkdir -p with `mode` for what is made. Errors: Io.
[[nodiscard]] Status make_folders(const std::string& path, mode_t mode);

/// A sealed (no write, grow, shrink) memfd that holds `bytes`, for handing a value to another process; memfd_create(2).
[[nodiscard]] Result<UniqueFd> make_sealed_memfd(const std::string& name, std::string_view bytes);

/// Content of a memfd received from another process. Errors: Protocol (not sealed), Limit, Io.
[[nodiscard]] Result<std::string> read_sealed_memfd(int fd, std::size_t bytes_max);

/// Fills with random bytes from getrandom(2); aborts if the kernel cannot.
[[nodiscard]] std::string random_bytes(std::size_t size);

}  // namespace sanctum
