// SPDX-License-Identifier: Apache-2.0
#include "base/places.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <pwd.h>
#include <string_view>
#include <unistd.h>

namespace sanctum {
namespace {

constexpr std::array<const char*, 6> kLookedAt = {"HOME",           "XDG_CONFIG_HOME", "XDG_DATA_HOME",
                                                  "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "SANCTUM_CONFIG"};

// The shipped data beside the binaries: PREFIX/{bin,libexec/sanctum} → PREFIX/share/sanctum, and in a build tree
// build/PRESET/bin → build/PRESET/share/sanctum. Both are one or two folders up.
std::string shipped_beside(const std::string& programs) {
    for (const char* up : {"/../share/sanctum", "/../../share/sanctum"}) {
        std::string folder = programs + up;
        if (::access((folder + "/catalog").c_str(), R_OK) == 0) return folder;
    }
    return programs + "/../share/sanctum";
}

// What users run is in PREFIX/bin, what only we run in PREFIX/libexec/sanctum; a build tree has one folder for all.
void find_programs(Places& places, const std::string& own) {
    static constexpr std::string_view kInner = "/libexec/sanctum";
    places.commands = places.programs = own;
    if (own.ends_with(kInner)) {
        places.commands = own.substr(0, own.size() - kInner.size()) + "/bin";
    } else if (const std::size_t slash = own.rfind('/'); slash != std::string::npos) {
        const std::string inner = own.substr(0, slash) + std::string(kInner);
        if (::access(inner.c_str(), X_OK) == 0) places.programs = inner;
    }
}

}  // namespace

Places find_places(const std::map<std::string, std::string>& environment, uid_t user, const std::string& own) {
    const auto value = [&](const char* name) {
        const auto found = environment.find(name);
        // XDG: a relative path is invalid and ignored.
        return found != environment.end() && found->second.starts_with('/') ? found->second : std::string();
    };
    const std::string home = value("HOME");
    const auto folder = [&](const char* variable, const char* system, const std::string& below_home) {
        if (const std::string given = value(variable); !given.empty()) return given + "/sanctum";
        return user == 0 ? std::string(system) : home + below_home;
    };
    Places places;
    const std::string config = folder("XDG_CONFIG_HOME", "/etc/sanctum", "/.config/sanctum");
    const std::string named = value("SANCTUM_CONFIG");
    places.configuration = named.empty() ? config + "/config.toml" : named;
    places.trusted_profiles = config + "/profiles";
    places.own_catalog = config + "/catalog.d";
    places.data = folder("XDG_DATA_HOME", "/var/lib/sanctum", "/.local/share/sanctum");
    places.state = folder("XDG_STATE_HOME", "/var/lib/sanctum/state", "/.local/state/sanctum");
    if (const std::string runtime = value("XDG_RUNTIME_DIR"); !runtime.empty()) places.runtime = runtime + "/sanctum";
    else if (user == 0 && value("XDG_STATE_HOME").empty()) places.runtime = "/run/sanctum";
    else places.runtime = places.state + "/run";
    find_programs(places, own);
    places.shipped = shipped_beside(own);
    return places;
}

Status check_own_folders(const Places& places, const std::map<std::string, std::string>& environment) {
    const std::pair<const char*, const std::string&> named[] = {{"XDG_STATE_HOME", places.state},
                                                                {"XDG_RUNTIME_DIR", places.runtime}};
    for (const auto& [variable, folder] : named) {
        const auto value = environment.find(variable);
        if (value == environment.end() || !folder.starts_with(value->second + "/")) continue;
        std::string there = folder;
        while (there.size() > 1 && ::access(there.c_str(), F_OK) != 0) {
            there.erase(std::max<std::size_t>(there.rfind('/'), 1));
        }
        if (::access(there.c_str(), W_OK | X_OK) == 0) continue;
        return Error{Errc::NotPermitted, folder + ": " + variable + " leads there, and this user may not write in " +
                                             there + " (unset it, or let it name a folder of your own)"};
    }
    return {};
}

Places places_of_this_process() {
    std::map<std::string, std::string> environment;
    for (const char* name : kLookedAt) {
        if (const char* value = std::getenv(name)) environment[name] = value;
    }
    // A service or a cleaned environment may have none; what lies below it must not end up below `/`.
    if (!environment["HOME"].starts_with('/')) {
        const passwd* const entry = ::getpwuid(::geteuid());
        environment["HOME"] = entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
    }
    std::array<char, PATH_MAX> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    std::string programs(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    programs.erase(programs.rfind('/') == std::string::npos ? 0 : programs.rfind('/'));
    return find_places(environment, ::geteuid(), programs);
}

}  // namespace sanctum
