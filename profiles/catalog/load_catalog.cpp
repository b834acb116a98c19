// SPDX-License-Identifier: Apache-2.0
// Finds the compiled entries that a profile names: shipped ones are mapped; the operator's own are compiled at first
// use and kept by the hash of their text.
#include "profiles/schema/resolve.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "profiles/catalog/entry_format.hpp"
#include "profiles/schema/owned_file.hpp"
#include "profiles/schema/profile_text.hpp"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <set>
#include <unistd.h>

namespace sanctum::profiles {
namespace {

constexpr std::string_view kCompiled = ".entry";
constexpr std::string_view kSource = ".toml";

std::vector<std::string> names_in(const std::string& folder, std::string_view ending) {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), &::closedir);
    if (!directory) return out;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        if (name.size() > ending.size() && name.ends_with(ending)) {
            out.emplace_back(name.substr(0, name.size() - ending.size()));
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

Result<CompiledEntry> map_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return io_error(path);
    Result<CompiledEntry> entry = CompiledEntry::map(fd.get());
    if (!entry) return std::move(entry).error().in(path);
    return entry;
}

// An own entry: its text must be the operator's, its result is kept beside the missions.
Result<CompiledEntry> open_own(const std::string& name, const std::string& source, const Places& places) {
    SANCTUM_TRY(const std::string text, read_owned_file(source, Secrecy::Ordinary, kCatalogTextBytesMax));
    const std::string cache = places.state + "/catalog";
    const std::string kept =
        cache + "/" + wire::to_hex(sha256(text)) + "-" + std::to_string(flat::kSchema) + std::string(kCompiled);
    if (::access(kept.c_str(), R_OK) == 0) {
        Result<CompiledEntry> entry = map_file(kept);
        if (entry && entry->name() == name) return entry;
    }
    SANCTUM_TRY(std::string bytes, compile_entry(source, text));
    // Keeping it is only for speed; a full disk does not stop a mission here.
    if (make_folders(cache, 0700)) static_cast<void>(write_file_atomically(kept, bytes, 0600).has_value());
    Result<CompiledEntry> entry = CompiledEntry::open(std::move(bytes));
    if (entry && entry->name() != name) {
        return Error{Errc::InvalidProfile, source + ": the entry calls itself `" + std::string(entry->name()) +
                                               "` (rename the file to " + std::string(entry->name()) + ".toml)"};
    }
    return entry;
}

}  // namespace

Result<CompiledEntry> load_entry(const std::string& name, const Places& places) {
    const std::string shipped_file = places.shipped + "/catalog/" + name + std::string(kCompiled);
    const std::string own_file = places.own_catalog + "/" + name + std::string(kSource);
    const bool is_shipped = ::access(shipped_file.c_str(), F_OK) == 0;
    const bool is_own = ::access(own_file.c_str(), F_OK) == 0;
    if (is_shipped && is_own) {
        return Error{
            Errc::InvalidProfile,
            own_file + ": a shipped entry has this name and cannot be replaced (rename the file and its entry)"};
    }
    if (is_shipped) return map_file(shipped_file);
    if (is_own) return open_own(name, own_file, places);
    return Error{Errc::NotFound, "there is no catalog entry `" + name + "`"};
}

Result<CatalogSet> load_catalog(const Profile& profile, const Places& places) {
    const Profile::Written& written = profile.written();
    Diagnostics diagnostics = written.sources;
    const std::string shipped = places.shipped + "/catalog";
    CatalogSet set;
    std::set<std::string> seen;
    for (const ServiceText& service : written.text.services) {
        const std::string& name = service.catalog.value;
        if (!seen.insert(name).second) continue;
        Result<CompiledEntry> entry = load_entry(name, places);
        if (!entry && entry.error().code == Errc::NotFound) {
            std::vector<std::string> known = names_in(shipped, kCompiled);
            for (std::string& own : names_in(places.own_catalog, kSource)) known.push_back(std::move(own));
            diagnostics.error(
                service.catalog.at, "there is no catalog entry `" + name + "`",
                known.empty() ? "looked in " + shipped + " and " + places.own_catalog : suggest(name, known));
            continue;
        }
        if (!entry) return std::move(entry).error();
        set.add(std::move(*entry));
    }
    if (!diagnostics.empty()) return diagnostics.to_error();
    return set;
}

}  // namespace sanctum::profiles
