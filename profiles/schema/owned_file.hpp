// SPDX-License-Identifier: Apache-2.0
// Files that decide what an agent may do: read once by descriptor, and only when no other user could change them.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "profiles/schema/values.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace sanctum::profiles {

enum class Secrecy : std::uint8_t {
    Ordinary,  ///< others may read it
    Private,   ///< others may not even read it
    Unit,      ///< as Private, but the group may read: its bits are the access list's mask of a systemd credential
};

/// Reads a regular file whose owner is the caller or root, that neither group nor others may write, in folders that
/// are the same up to `/` (a sticky folder such as /tmp may be writable: nobody else can replace a file there).
/// Errors: NotFound; NotPermitted with the command that mends it; Unsupported (no regular file); Limit; Io.
[[nodiscard]] Result<std::string> read_owned_file(const std::string& path, Secrecy secrecy);

/// The same with another bound than kSmallFileBytesMax.
[[nodiscard]] Result<std::string> read_owned_file(const std::string& path, Secrecy secrecy, std::size_t bytes_max);

/// The same as far as a descriptor for reading; for content that must not rest in a string.
[[nodiscard]] Result<UniqueFd> open_owned_file(const std::string& path, Secrecy secrecy);

/// The path without symbolic links of a program that we run for the operator: a regular file that we may execute, with
/// owner, modes and folders as above. Errors: NotFound; NotPermitted with the command that mends it; Unsupported (no
/// regular file); Io.
[[nodiscard]] Result<std::string> find_owned_program(const std::string& path);

/// Whether a file that is made in `folder` could be read by read_owned_file(). Errors: NotFound, NotPermitted with the
/// command that mends it, Io.
[[nodiscard]] Status check_owned_folder(const std::string& folder);

/// Why a key file cannot be used, nullopt when it can; a file that does not exist yet is no fault.
[[nodiscard]] std::optional<Fault> private_file_fault(const std::string& path);

}  // namespace sanctum::profiles
