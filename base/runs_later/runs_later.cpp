// SPDX-License-Identifier: Apache-2.0
#include "base/runs_later/runs_later.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/folder_walk.hpp"
#include "base/limits.hpp"
#include "base/runs_later/git_configuration.hpp"
#include "base/runs_later/git_named_places.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/archive.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <linux/openat2.h>
#include <memory>
#include <optional>
#include <string_view>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace sanctum::runs_later {
namespace {

constexpr std::string_view kHeld = ".sanctum-held";
constexpr std::size_t kHeldNameBytes = 200;
constexpr std::string_view kUnreadable = "unreadable";
constexpr const char* kHookReason = "git runs it";
constexpr const char* kNamedReason = "git's configuration names it";
constexpr const char* kPointerReason = "points git to another repository's hooks and configuration";
constexpr const char* kLinkReason = "a link in the place of a folder of files that run later";

using Kind = WalkEntry::Kind;

/// What NAME is called while it is held. One that would be too long is cut, and told apart by its digest.
std::string held_name(const std::string& name) {
    if (name.size() + kHeld.size() <= NAME_MAX) return name + std::string(kHeld);
    return name.substr(0, kHeldNameBytes) + "." + wire::to_hex(sha256(name)).substr(0, 16) + std::string(kHeld);
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
}

/// True when `path` is `tail` or ends in `/tail`.
bool ends_in(std::string_view path, std::string_view tail) {
    return path.ends_with(tail) && (path.size() == tail.size() || path[path.size() - tail.size() - 1] == '/');
}

/// What a place is for us.
struct Match {
    enum class What : unsigned char { Nothing, File, Folder, GitConfiguration } what = What::Nothing;
    const char* reason = "";
};

/// Decides for one entry; asks the disk only to tell a repository without a `.git` name.
class Matcher {
public:
    explicit Matcher(std::string workspace) : workspace_(std::move(workspace)) {}

    Match match(const WalkEntry& entry) const {
        if (std::string_view(entry.name).ends_with(kHeld)) return {};
        if (entry.kind == Kind::Link && stands_for_folder(entry.path)) return {Match::What::File, kLinkReason};
        const Match git = match_git(entry);
        if (git.what != Match::What::Nothing) return git;
        for (const Pattern& pattern : patterns()) {
            const std::string_view path = pattern.path;
            const bool is_folder = path.ends_with('/');
            if (!ends_in(entry.path, is_folder ? path.substr(0, path.size() - 1) : path)) continue;
            if (is_folder && entry.kind == Kind::Folder) return {Match::What::Folder, pattern.reason};
            // A link is as good as what it leads to: a file's place is taken by either.
            const bool is_file = is_folder ? entry.kind == Kind::Link : entry.kind != Kind::Folder;
            if (is_file) return {Match::What::File, pattern.reason};
        }
        return {};
    }

private:
    Match match_git(const WalkEntry& entry) const {
        const std::string_view name = entry.name;
        if (name == ".git" && (entry.kind == Kind::File || entry.kind == Kind::Link)) {
            return {Match::What::File, kPointerReason};
        }
        const bool is_hooks = name == "hooks";
        const bool is_configuration = name == "config" || name == "config.worktree";
        const bool is_attributes = name == "attributes" && ends_in(entry.path, "info/attributes");
        // gitrepository-layout(5): configuration, hooks and objects are then taken from the place that it names.
        if (name == "commondir" && entry.kind != Kind::Folder && has(folder_of(entry.path), "HEAD")) {
            return {Match::What::File, kPointerReason};
        }
        if (!is_hooks && !is_configuration && !is_attributes) return {};
        const std::string folder = folder_of(entry.path);
        if (!is_repository(is_attributes ? folder_of(folder) : folder)) return {};
        if (is_configuration && entry.kind == Kind::File) return {Match::What::GitConfiguration, ""};
        if (is_hooks && entry.kind == Kind::Folder) return {Match::What::Folder, kHookReason};
        return {Match::What::File, kHookReason};
    }

    bool is_repository(const std::string& folder) const {
        if (ends_in(folder, ".git")) return true;
        // `.git/worktrees/NAME` has no objects of its own.
        if (has(folder, "HEAD") && (has(folder, "commondir") || has(folder, "gitdir"))) return true;
        return has(folder, "objects") && (has(folder, "HEAD") || has(folder, "refs"));
    }

    bool has(const std::string& folder, const char* name) const {
        const std::string path = folder.empty() ? workspace_ : workspace_ + "/" + folder;
        return ::faccessat(AT_FDCWD, (path + "/" + name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }

    /// `.vscode` as a link would hide what it leads to from a walk that follows none.
    static bool stands_for_folder(const std::string& path) {
        return std::any_of(patterns().begin(), patterns().end(), [&](const Pattern& pattern) {
            const std::string_view whole = pattern.path;
            for (std::size_t slash = whole.find('/'); slash != whole.npos; slash = whole.find('/', slash + 1)) {
                if (ends_in(path, whole.substr(0, slash))) return true;
            }
            return false;
        });
    }

    std::string workspace_;
};

/// Content and executable bit of a file.
Result<std::string> digest_of_file(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file && errno == EACCES) return std::string(kUnreadable);
    if (!file) return io_error(path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return io_error(path);
    Sha256 hash;
    hash.update((status.st_mode & S_IXUSR) != 0 ? "executable " : "file ");
    if (!S_ISREG(status.st_mode)) return wire::to_hex(hash.finish());
    char chunk[65536];
    for (;;) {
        const ssize_t got = ::read(file.get(), chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error(path);
        if (got == 0) return wire::to_hex(hash.finish());
        hash.update({chunk, static_cast<std::size_t>(got)});
    }
}

/// Where a link points to as written; nullopt: no link.
std::optional<std::string> target_of_link(const std::string& path) {
    char target[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size < 0) return std::nullopt;
    return std::string(target, static_cast<std::size_t>(size));
}

/// What changes when somebody opens a closed folder, or makes or renames something in it.
std::string state_of_folder(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return "unknown";
    return std::to_string(status.st_ino) + " " + std::to_string(status.st_uid) + " " + std::to_string(status.st_mode) +
           " " + std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec);
}

/// All that is in a folder, in one digest. Links in it count as written.
Result<std::string> digest_of_folder(const std::string& path) {
    std::map<std::string, std::string> digests;
    const auto visit = [&](const WalkEntry& entry) {
        const std::string whole = path + "/" + entry.path;
        if (entry.kind == Kind::Link) digests[entry.path] = target_of_link(whole).value_or("");
        if (entry.kind != Kind::File) return Descend::Yes;
        const Result<std::string> digest = digest_of_file(whole);
        digests[entry.path] = digest ? *digest : std::string(kUnreadable);
        return Descend::Yes;
    };
    SANCTUM_CHECK(walk_folder(path, visit, [&](const std::string& closed, const char*) {
        digests[closed] = state_of_folder(path + "/" + closed);
    }));
    Sha256 hash;
    for (const auto& [name, digest] : digests) hash.update(name + '\0' + digest + '\0');
    return wire::to_hex(hash.finish());
}

/// Of a link: where it points to and, inside the workspace where an agent can change it, what it leads to.
Result<std::string> digest_of(const std::string& path, const std::string& workspace) {
    const std::optional<std::string> target = target_of_link(path);
    if (!target) return digest_of_file(path);
    std::string led_to;
    const std::unique_ptr<char, void (*)(void*)> place(::realpath(path.c_str(), nullptr), &std::free);
    const std::unique_ptr<char, void (*)(void*)> root(::realpath(workspace.c_str(), nullptr), &std::free);
    if (place && root && std::string_view(place.get()).starts_with(std::string(root.get()) + "/")) {
        struct stat status {};
        if (::stat(place.get(), &status) != 0) return io_error(path);
        const bool is_folder = S_ISDIR(status.st_mode);
        SANCTUM_TRY(led_to, is_folder ? digest_of_folder(place.get()) : digest_of_file(place.get()));
    }
    return wire::to_hex(sha256("link " + *target + '\0' + led_to));
}

/// Visits every file of the list: with its relative path, its match and whether it is git's configuration.
using Visit = std::function<Status(const std::string& path, const Match& match)>;
Status visit_places(const std::string& workspace, const Visit& visit, const PassedOver& passed_over) {
    const Matcher matcher(workspace);
    Status outcome;
    // Folders of the list that the walk is in or has been in; a folder's entries come right behind it.
    std::string inside;
    const char* reason = "";
    const Status walked = walk_folder(workspace, [&](const WalkEntry& entry) {
        if (!outcome) return Descend::No;
        if (!inside.empty() && !entry.path.starts_with(inside)) inside.clear();
        if (inside.empty()) {
            const Match match = matcher.match(entry);
            if (match.what == Match::What::Folder) {
                inside = entry.path + "/";
                reason = match.reason;
            } else if (match.what != Match::What::Nothing) {
                outcome = visit(entry.path, match);
            }
            return Descend::Yes;
        }
        const std::string_view name = entry.name;
        const bool is_sample = reason == std::string_view(kHookReason) && name.ends_with(".sample");
        if (entry.kind != Kind::Folder && !is_sample && !name.ends_with(kHeld)) {
            outcome = visit(entry.path, {Match::What::File, reason});
        }
        return Descend::Yes;
    }, passed_over);
    if (!walked) return walked;
    return outcome;
}

/// Visits what is in a place that git's configuration names, as visit_places does.
Status visit_named_place(const std::string& workspace, const std::string& place, const Visit& visit,
                         const PassedOver& passed_over) {
    struct stat status {};
    if (::lstat((workspace + "/" + place).c_str(), &status) != 0) return {};  // not there, or no longer
    if (!S_ISDIR(status.st_mode)) return visit(place, {Match::What::File, kNamedReason});
    Status outcome;
    const auto each = [&](const WalkEntry& entry) {
        const bool is_held = std::string_view(entry.name).ends_with(kHeld);
        if (entry.kind == Kind::Folder || is_held || !outcome) return Descend::Yes;
        outcome = visit(place + "/" + entry.path, {Match::What::File, kNamedReason});
        return Descend::Yes;
    };
    SANCTUM_CHECK(walk_folder(workspace + "/" + place, each, [&](const std::string& closed, const char* why) {
        passed_over(place + "/" + closed, why);
    }));
    return outcome;
}

/// A folder without any link on the way to it; the agent made the tree below the workspace.
Result<UniqueFd> open_folder(const std::string& path) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS;
    UniqueFd folder(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
    if (!folder) {
        Error error = io_error("open " + path);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        return error;
    }
    return folder;
}

/// A folder in which its owner may rename for as long as this lives, although the agent took the permission away.
class WritableFolder {
public:
    static Result<WritableFolder> open(const std::string& path) {
        SANCTUM_TRY(UniqueFd folder, open_folder(path));
        struct stat status {};
        if (::fstat(folder.get(), &status) != 0) return io_error("stat " + path);
        WritableFolder writable(std::move(folder), status.st_mode & 07777);
        if (status.st_uid == ::geteuid() && (status.st_mode & kNeeded) != kNeeded) {
            SANCTUM_CHECK(writable.set_mode(writable.mode_ | kNeeded));
            writable.is_changed_ = true;
        }
        return writable;
    }
    WritableFolder(WritableFolder&& other) noexcept
        : folder_(std::move(other.folder_)), mode_(other.mode_), is_changed_(std::exchange(other.is_changed_, false)) {}
    WritableFolder& operator=(WritableFolder&&) = delete;
    ~WritableFolder() {
        if (is_changed_) static_cast<void>(set_mode(mode_));
    }
    [[nodiscard]] int get() const { return folder_.get(); }

private:
    static constexpr mode_t kNeeded = S_IWUSR | S_IXUSR;

    WritableFolder(UniqueFd folder, mode_t mode) : folder_(std::move(folder)), mode_(mode) {}

    [[nodiscard]] Status set_mode(mode_t mode) const {
        const std::string itself = "/proc/self/fd/" + std::to_string(folder_.get());
        return ::chmod(itself.c_str(), mode) == 0 ? Status() : Status(io_error("make the folder writable"));
    }

    UniqueFd folder_;
    mode_t mode_;
    bool is_changed_ = false;
};

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string held_path(const std::string& original) { return folder_of(original) + "/" + held_name(name_of(original)); }

bool is_in_the_way(int error) {
    return error == EISDIR || error == ENOTDIR || error == ENOTEMPTY || error == EEXIST;
}

/// Gives what the agent put in the way a name that it could not foresee.
Status move_aside(int folder, const std::string& name) {
    std::uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) return io_error("getrandom");
    const std::string aside = name + "." + std::to_string(number);
    if (::renameat(folder, name.c_str(), folder, aside.c_str()) != 0) return io_error("move aside " + name);
    return {};
}

enum class InTheWay : unsigned char { MoveAside, Stays };

Status rename_in_folder(const std::string& path, const std::string& from, const std::string& to, InTheWay what) {
    SANCTUM_TRY(const WritableFolder folder, WritableFolder::open(folder_of(path)));
    int renamed = ::renameat(folder.get(), from.c_str(), folder.get(), to.c_str());
    if (renamed != 0 && what == InTheWay::MoveAside && is_in_the_way(errno)) {
        SANCTUM_CHECK(move_aside(folder.get(), to));
        renamed = ::renameat(folder.get(), from.c_str(), folder.get(), to.c_str());
    }
    if (renamed != 0) {
        Error error = io_error("rename " + from + " to " + to);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        return std::move(error).in(folder_of(path));
    }
    return {};
}

Status move_to_held(const std::string& path) {
    return rename_in_folder(path, name_of(path), held_name(name_of(path)), InTheWay::MoveAside);
}

Status hold_configuration(const Change& change, const Snapshot& before) {
    const std::string relative = change.path.substr(before.workspace.size() + 1);
    const auto found = before.configurations.find(relative);
    const std::string old = found == before.configurations.end() ? "" : found->second;
    SANCTUM_TRY([[maybe_unused]] const WritableFolder folder, WritableFolder::open(folder_of(change.path)));
    struct stat status {};
    if (::lstat(change.path.c_str(), &status) != 0) return io_error(change.path);
    // What cannot be read as git reads it is not kept in part.
    const Result<std::string> current = read_file(change.path, kRunsLaterFileBytesMax);
    const Result<std::string> cleaned = current ? without_new_executing_variables(old, *current) : current;
    SANCTUM_CHECK(move_to_held(change.path));
    SANCTUM_CHECK(write_file_atomically(change.path, cleaned ? *cleaned : old, status.st_mode & 0777));
    // Root holds back in other users' workspaces too.
    const bool stays_owned = ::geteuid() != 0 || ::lchown(change.path.c_str(), status.st_uid, status.st_gid) == 0;
    return stays_owned ? Status() : Status(io_error(change.path));
}

/// Held::digests of one. What is inside a folder that is held could not be looked at, or it would not be held whole.
std::string digest_of_held(const std::string& original, const std::string& workspace) {
    const std::string path = held_path(original);
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) return {};
    const Result<std::string> digest = digest_of(path, workspace);
    return digest && *digest != kUnreadable ? *digest : std::string();
}

/// The change of one configuration, or nullopt.
std::optional<Change> compare_configuration(const std::string& path, const std::string& old,
                                            const std::string& current) {
    if (old == current) return std::nullopt;
    Change change{path, "git executes what it says", Change::Kind::ConfigurationKeys, {}};
    const Result<std::vector<GitVariable>> found = new_executing_variables(old, current);
    if (!found) {
        change.keys.push_back("unreadable (" + found.error().what + ")");
        return change;
    }
    for (const GitVariable& variable : *found) change.keys.push_back(variable.key());
    // What its user set against something (`core.hooksPath = /dev/null`) is put back.
    const Result<std::vector<GitVariable>> gone = new_executing_variables(current, old);
    for (std::size_t i = 0; gone && i < gone->size(); ++i) {
        const std::string key = (*gone)[i].key();
        if (std::find(change.keys.begin(), change.keys.end(), key) == change.keys.end()) change.keys.push_back(key);
    }
    return change.keys.empty() ? std::nullopt : std::optional(std::move(change));
}

bool lies_in_one_of(const std::vector<std::string>& places, const std::string& path) {
    return std::any_of(places.begin(), places.end(), [&](const std::string& place) {
        return path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/');
    });
}

}  // namespace

Result<std::vector<std::string>> find_existing(const std::string& workspace) {
    const Matcher matcher(workspace);
    std::vector<std::string> found;
    std::vector<std::string> configurations;
    SANCTUM_CHECK(walk_folder(workspace, [&](const WalkEntry& entry) {
        const Match match = matcher.match(entry);
        if (match.what == Match::What::GitConfiguration) configurations.push_back(entry.path);
        const bool is_place = match.what == Match::What::File || match.what == Match::What::Folder ||
                              std::string_view(entry.name).ends_with(kHeld);
        // A link cannot be covered by a mount; changing it is found at the end.
        if (is_place && entry.kind != Kind::Link) found.push_back(workspace + "/" + entry.path);
        return is_place ? Descend::No : Descend::Yes;
    }));
    for (const std::string& configuration : configurations) {
        SANCTUM_TRY(const std::string text, read_file(workspace + "/" + configuration, kRunsLaterFileBytesMax));
        for (const std::string& place : places_named_in(workspace, configuration, text)) {
            const std::string whole = workspace + "/" + place;
            struct stat status {};
            const bool is_there = ::lstat(whole.c_str(), &status) == 0 && !S_ISLNK(status.st_mode);
            if (is_there && !lies_in_one_of(found, whole)) found.push_back(whole);
        }
    }
    if (found.size() > kGuardedPlacesMax) {
        return Error{Errc::Limit, workspace + ": more than " + std::to_string(kGuardedPlacesMax) +
                                      " files that run later (choose a smaller workspace)"};
    }
    std::sort(found.begin(), found.end());
    return found;
}

Result<Snapshot> remember(const std::string& workspace) {
    Snapshot snapshot{workspace, {}, {}, {}, {}};
    const auto visit = [&](const std::string& path, const Match& match) -> Status {
        const std::string whole = workspace + "/" + path;
        if (match.what == Match::What::GitConfiguration) {
            SANCTUM_TRY(snapshot.configurations[path], read_file(whole, kRunsLaterFileBytesMax));
            return {};
        }
        SANCTUM_TRY(snapshot.digests[path], digest_of(whole, workspace));
        return {};
    };
    const auto passed_over = [&](const std::string& path, const char*) {
        snapshot.closed[path] = state_of_folder(workspace + "/" + path);
    };
    SANCTUM_CHECK(visit_places(workspace, visit, passed_over));
    for (const auto& [path, text] : snapshot.configurations) {
        const std::vector<std::string> places = places_named_in(workspace, path, text);
        snapshot.named.insert(places.begin(), places.end());
    }
    for (const std::string& place : snapshot.named) {
        SANCTUM_CHECK(visit_named_place(workspace, place, visit, passed_over));
    }
    return snapshot;
}

Changes find_changes(const Snapshot& before) {
    Changes changes;
    std::vector<Change>& found = changes.found;
    const auto visit = [&](const std::string& path, const Match& match) -> Status {
        const std::string whole = before.workspace + "/" + path;
        if (match.what == Match::What::GitConfiguration) {
            const auto old = before.configurations.find(path);
            Result<std::string> current = read_file(whole, kRunsLaterFileBytesMax);
            if (!current) {
                const bool was_there = old != before.configurations.end();
                const auto kind = was_there ? Change::Kind::ConfigurationKeys : Change::Kind::File;
                std::vector<std::string> keys;
                if (was_there) keys.push_back("unreadable (" + current.error().what + ")");
                found.push_back({whole, "git executes what it says", kind, std::move(keys)});
                return {};
            }
            auto change = compare_configuration(whole, old == before.configurations.end() ? "" : old->second, *current);
            if (change) found.push_back(std::move(*change));
            return {};
        }
        const Result<std::string> digest = digest_of(whole, before.workspace);
        const auto old = before.digests.find(path);
        if (!digest || old == before.digests.end() || old->second != *digest) {
            found.push_back({whole, match.reason, Change::Kind::File, {}});
        }
        return {};
    };
    const auto passed_over = [&](const std::string& path, const char* why) {
        if (path.ends_with(kHeld)) return;
        const std::string whole = before.workspace + "/" + path;
        const auto old = before.closed.find(path);
        if (old != before.closed.end() && old->second == state_of_folder(whole)) return;
        found.push_back({whole, why, Change::Kind::File, {}});
    };
    changes.whole = visit_places(before.workspace, visit, passed_over);
    for (const std::string& place : before.named) {
        const Status visited = visit_named_place(before.workspace, place, visit, passed_over);
        if (!visited && changes.whole) changes.whole = visited;
    }
    // What is on the list and named besides is one place.
    std::stable_sort(found.begin(), found.end(),
                     [](const Change& left, const Change& right) { return left.path < right.path; });
    const auto is_same = [](const Change& left, const Change& right) { return left.path == right.path; };
    found.erase(std::unique(found.begin(), found.end(), is_same), found.end());
    return changes;
}

Held hold(const std::vector<Change>& changes, const Snapshot& before) {
    Held outcome;
    std::string failures;
    std::vector<bool> are_held;
    for (const Change& change : changes) {
        const Status held = change.kind == Change::Kind::ConfigurationKeys
                                ? hold_configuration(change, before)
                                : move_to_held(change.path);
        if (!held) failures += (failures.empty() ? "" : "; ") + change.path + ": " + held.error().what;
        are_held.push_back(held.has_value());
    }
    // Only now: a held link may lead to what was held after it.
    for (std::size_t i = 0; i < changes.size(); ++i) {
        outcome.digests.push_back(are_held[i] ? digest_of_held(changes[i].path, before.workspace) : "");
    }
    if (!failures.empty()) outcome.whole = Error{Errc::Io, "could not hold back: " + failures};
    return outcome;
}

Status accept(const std::string& original) {
    return rename_in_folder(original, held_name(name_of(original)), name_of(original), InTheWay::Stays);
}

std::vector<HeldPlace> still_held(const std::string& workspace, const std::vector<std::string>& originals,
                                  const std::vector<std::string>& digests) {
    std::vector<HeldPlace> held;
    for (std::size_t i = 0; i < originals.size(); ++i) {
        const std::string path = held_path(originals[i]);
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0) continue;
        const bool is_known = i < digests.size() && !digests[i].empty();
        std::string fault;
        if (!is_known) {
            fault = path + ": the record has no digest of it, so nobody knows whether it is what was held back "
                           "(look at it, then rename or remove it yourself)";
        } else if (digest_of_held(originals[i], workspace) != digests[i]) {
            fault = path + ": is not what this mission left there: another mission or somebody else has changed it "
                           "(accept the mission that left it, or look at it, then rename or remove it yourself)";
        }
        held.push_back({originals[i], std::move(fault)});
    }
    return held;
}

}  // namespace sanctum::runs_later
