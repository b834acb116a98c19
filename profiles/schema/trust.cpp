// SPDX-License-Identifier: Apache-2.0
// trust.json: which profiles the operator has read and accepted, by real path and content.
#include "profiles/schema/trust.hpp"

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/archive.hpp"
#include "profiles/schema/owned_file.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace sanctum::profiles {
namespace {

constexpr std::uint32_t kTrustSchema = 1;

struct PinText {
    std::string path;
    std::string sha256;
    std::int64_t unix_ms = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("path", self.path);
        archive("sha256", self.sha256);
        archive("unix_ms", self.unix_ms);
    }
};

struct TrustText {
    std::uint32_t schema = kTrustSchema;
    std::vector<PinText> pins;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("schema", self.schema);
        archive("pins", self.pins);
    }
};

std::string real_path(const std::string& path) {
    char* resolved = ::realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return path;
    std::string out(resolved);
    std::free(resolved);
    return out;
}

bool is_below(const std::string& path, const std::string& folder) { return path.starts_with(real_path(folder) + "/"); }

Result<TrustText> read_pins(const Places& places) {
    Result<std::string> text = read_owned_file(places.trust(), Secrecy::Ordinary);
    if (!text && text.error().code == Errc::NotFound) return TrustText{};
    if (!text) return std::move(text).error();
    Result<TrustText> pins = wire::from_json<TrustText>(*text);
    if (!pins) {
        return Error{Errc::Protocol,
                     places.trust() + ": damaged (" + pins.error().what + "); remove it and trust your profiles again"};
    }
    if (pins->schema != kTrustSchema) {
        return Error{Errc::Unsupported,
                     places.trust() + ": of schema " + std::to_string(pins->schema) + ", made for a newer Sanctum"};
    }
    return pins;
}

// Reads, changes and replaces trust.json while no other process does.
template <class Change>
Status change_pins(const Places& places, Change change) {
    SANCTUM_CHECK(make_folders(places.state, 0700));
    const std::string lock_path = places.trust() + ".lock";
    const UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return io_error("open " + lock_path);
    if (::flock(lock.get(), LOCK_EX) != 0) return io_error("lock " + lock_path);
    SANCTUM_TRY(TrustText pins, read_pins(places));
    SANCTUM_CHECK(change(pins));
    return write_file_atomically(places.trust(), wire::to_json(pins) + "\n", 0600);
}

// The first that has a profile of a name decides.
std::array<std::string, 2> folders_of_names(const Places& places) {
    return {places.trusted_profiles, places.shipped + "/profiles"};
}

bool is_file(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<ProfileFile> read_profile_file(const std::string& path) {
    const std::string real = real_path(path);
    Result<std::string> text = read_owned_file(real, Secrecy::Ordinary);
    if (!text) return std::move(text).error();
    std::string hash = wire::to_hex(sha256(*text));
    return ProfileFile{real, std::move(*text), std::move(hash)};
}

Result<std::string> find_profile(const std::string& named, const std::string& from_environment, const Places& places) {
    const std::string& wanted = named.empty() ? from_environment : named;
    const std::string origin = named.empty() ? "SANCTUM_PROFILE: " : "";
    if (wanted.empty()) {
        if (is_file("./mission.toml")) return std::string("./mission.toml");
        return Error{Errc::NotFound,
                     "no profile: --profile and SANCTUM_PROFILE are not set, and there is no ./mission.toml "
                     "(write one with `sanctum init`)"};
    }
    if (is_file(wanted)) return wanted;
    std::string looked = wanted;
    if (wanted.find('/') == std::string::npos) {
        const std::string file = wanted.ends_with(".toml") ? wanted : wanted + ".toml";
        for (const std::string& folder : folders_of_names(places)) {
            const std::string path = folder + "/" + file;
            if (is_file(path)) return path;
            looked += ", " + path;
        }
    }
    return Error{Errc::NotFound, origin + "there is no profile `" + wanted + "` (looked for " + looked +
                                    "; `sanctum init` writes one)"};
}

Result<std::map<std::string, std::string>> named_profiles(const Places& places) {
    std::map<std::string, std::string> out;
    for (const std::string& folder : folders_of_names(places)) {
        std::error_code error;
        const std::filesystem::directory_iterator entries(folder, error);
        if (error == std::errc::no_such_file_or_directory) continue;
        if (error) return io_error("read " + folder, error.value());
        for (const std::filesystem::directory_entry& entry : entries) {
            const std::filesystem::path& path = entry.path();
            if (path.extension() == ".toml") out.emplace(path.stem().string(), path.string());
        }
    }
    return out;
}

Result<Trust> trust_of(const ProfileFile& file, const Places& places) {
    if (is_below(file.path, places.shipped + "/profiles")) return Trust::Shipped;
    if (is_below(file.path, places.trusted_profiles)) return Trust::Operators;
    SANCTUM_TRY(const TrustText pins, read_pins(places));
    for (const PinText& pin : pins.pins) {
        if (pin.path == file.path) return pin.sha256 == file.sha256 ? Trust::Pinned : Trust::Changed;
    }
    return Trust::Unknown;
}

Status pin_trust(const ProfileFile& file, const Places& places) {
    return change_pins(places, [&](TrustText& pins) -> Status {
        std::erase_if(pins.pins, [&](const PinText& pin) { return pin.path == file.path; });
        if (pins.pins.size() >= kTrustPinsMax) {
            return Error{Errc::Limit,
                         places.trust() + ": more than " + std::to_string(kTrustPinsMax) + " trusted profiles"};
        }
        pins.pins.push_back({file.path, file.sha256, SystemClock().wall().unix_ms});
        return {};
    });
}

Result<std::vector<TrustPin>> list_trust(const Places& places) {
    SANCTUM_TRY(const TrustText pins, read_pins(places));
    std::vector<TrustPin> out;
    for (const PinText& pin : pins.pins) out.push_back({pin.path, pin.sha256, pin.unix_ms});
    return out;
}

Status remove_trust(const std::string& path, const Places& places) {
    const std::string real = real_path(path);
    return change_pins(places, [&](TrustText& pins) -> Status {
        const std::size_t removed =
            std::erase_if(pins.pins, [&](const PinText& pin) { return pin.path == real || pin.path == path; });
        if (removed == 0) return Error{Errc::NotFound, path + ": was not trusted"};
        return {};
    });
}

}  // namespace sanctum::profiles
