// SPDX-License-Identifier: Apache-2.0
// Trust: a profile that is neither shipped nor the operator's own does nothing until its content was pinned.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"

#include <map>
#include <string>
#include <vector>

namespace sanctum::profiles {

/// A profile file read once: the bytes that are hashed are the bytes that are parsed.
struct ProfileFile {
    std::string path;       ///< real path
    std::string text;
    std::string sha256;     ///< hex
};

/// Reads a profile (regular file, bounded). Errors: NotFound, Io, Limit; and NotPermitted when the file or a folder
/// above it could be changed by another ordinary user.
[[nodiscard]] Result<ProfileFile> read_profile_file(const std::string& path);

/// Finds the profile: `named` (--profile: path, or the name of a shipped or trusted one), else SANCTUM_PROFILE, else
/// ./mission.toml. Errors: NotFound, with where it was looked for.
[[nodiscard]] Result<std::string> find_profile(const std::string& named, const std::string& from_environment,
                                               const Places& places);

/// The profiles that find_profile() knows by a name without a path: name and path, the operator's own before a shipped
/// one of that name. A missing folder has none. Errors: Io.
[[nodiscard]] Result<std::map<std::string, std::string>> named_profiles(const Places& places);

enum class Trust { Shipped, Operators, Pinned, Changed, Unknown };

/// How far a file is trusted. `Changed`: pinned with another content.
[[nodiscard]] Result<Trust> trust_of(const ProfileFile& file, const Places& places);

/// Pins real path and hash in trust.json (atomic, under a lock). Errors: Io, Protocol (damaged trust.json).
[[nodiscard]] Status pin_trust(const ProfileFile& file, const Places& places);

struct TrustPin {
    std::string path;
    std::string sha256;
    std::int64_t unix_ms = 0;
};
[[nodiscard]] Result<std::vector<TrustPin>> list_trust(const Places& places);
[[nodiscard]] Status remove_trust(const std::string& path, const Places& places);

}  // namespace sanctum::profiles
