// SPDX-License-Identifier: Apache-2.0
// gather_host_facts: what this machine and this caller are, read once before anything is planned.
#include "launcher/plan/sandbox_plan.hpp"

#include "base/confinement/landlock.hpp"
#include "base/files.hpp"
#include "base/folder_walk.hpp"
#include "base/limits.hpp"
#include "base/places.hpp"
#include "launcher/plan/cgroup_facts.hpp"
#include "launcher/plan/root_places.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <glob.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <sched.h>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

std::string environment_value(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// locale(7), gettext(3). LOCPATH, which names folders, is none of them.
constexpr std::array<const char*, 15> kLocaleVariables = {
    "LANG",     "LANGUAGE",          "LC_ALL",         "LC_ADDRESS",  "LC_COLLATE",
    "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES", "LC_MONETARY",
    "LC_NAME",  "LC_NUMERIC",        "LC_PAPER",       "LC_TELEPHONE", "LC_TIME"};

// `de_AT.UTF-8@euro`, `de:en`: a name and no path.
bool is_locale(std::string_view text) {
    constexpr std::size_t kLocaleBytesMax = 64;
    return !text.empty() && text.size() <= kLocaleBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.' || c == '@' || c == ':';
    });
}

std::string real_path(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
    return resolved ? resolved.get() : "";
}

/// Content of a one-line file of /proc or /sys, without its end of line; empty when it cannot be read.
std::string setting(const std::string& path) {
    const Result<std::string> text = read_file(path, kSmallFileBytesMax);
    return text ? text->substr(0, text->find('\n')) : "";
}

void gather_caller(HostFacts& facts) {
    facts.uid = ::geteuid();
    facts.gid = ::getegid();
    facts.home = environment_value("HOME");
    if (const passwd* entry = ::getpwuid(facts.uid); entry != nullptr) {
        facts.user_name = entry->pw_name;
        if (!facts.home.starts_with('/')) facts.home = entry->pw_dir;
    }
    while (facts.home.size() > 1 && facts.home.ends_with('/')) facts.home.pop_back();
    facts.real_home = real_path(facts.home);
    facts.terminal_type = environment_value("TERM");
    facts.time_zone = environment_value("TZ");
    for (const char* name : kLocaleVariables) {
        std::string value = environment_value(name);
        if (is_locale(value)) facts.locale[name] = std::move(value);
    }
    const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal) return;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::isatty(fd) != 1) continue;
        facts.has_terminal = true;
        std::array<char, 64> name{};
        if (::ttyname_r(fd, name.data(), name.size()) == 0) facts.terminal_path = name.data();
        return;
    }
}

void gather_namespaces(HostFacts& facts) {
    facts.has_user_namespaces = true;
    const auto refuse = [&](const char* why) {
        facts.has_user_namespaces = false;
        facts.user_namespaces_why = why;
    };
    if (setting("/proc/sys/user/max_user_namespaces") == "0") {
        refuse("user.max_user_namespaces is 0 (sysctl -w user.max_user_namespaces=15000)");
    } else if (::access("/proc/self/ns/user", F_OK) != 0) {
        refuse("the kernel was built without them");
    } else if (facts.uid != 0 && setting("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
        refuse("kernel.unprivileged_userns_clone is 0 (sysctl -w kernel.unprivileged_userns_clone=1)");
    } else if (facts.uid != 0 && setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" &&
               setting("/proc/self/attr/current").starts_with("unconfined")) {
        refuse("AppArmor restricts them to programs with a profile (see `sanctum doctor` for the profile to install)");
    }
}

void gather_kernel(HostFacts& facts) {
    utsname name{};
    if (::uname(&name) == 0) facts.kernel_release = name.release;
    facts.landlock_abi = landlock_abi();
    seccomp_notif_sizes sizes{};
    facts.has_seccomp_notify = ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
    facts.has_ipv6 = ::access("/proc/sys/net/ipv6", F_OK) == 0;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NPROC, &limit) == 0) facts.limit_processes_hard = limit.rlim_max;
    if (::getrlimit(RLIMIT_DATA, &limit) == 0) facts.limit_data_hard = limit.rlim_max;
    cpu_set_t cpus;
    if (::sched_getaffinity(0, sizeof cpus, &cpus) == 0) facts.cpus = static_cast<std::uint32_t>(CPU_COUNT(&cpus));
}

void gather_place(HostFacts& facts, const RootPlace& place) {
    const std::string path(place.path);
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return;
    facts.existing_roots.push_back(path);
    if (!S_ISLNK(status.st_mode)) return;
    char target[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size > 0) facts.root_links[path] = std::string(target, static_cast<std::size_t>(size));
}

void gather_roots(HostFacts& facts) {
    for (const auto places : {system_folders(), system_settings(), hidden_in_proc(), read_only_in_proc()}) {
        for (const RootPlace& place : places) gather_place(facts, place);
    }
    if (::access("/bin/bash", X_OK) == 0) facts.existing_roots.emplace_back("/bin/bash");
    for (const char* bundle : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                               "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
        if (::access(bundle, R_OK) != 0) continue;
        facts.ca_bundle = bundle;
        break;
    }
}

/// Files, not links to one of the others, below what the sandbox shows of the machine.
void gather_java_trust_stores(HostFacts& facts) {
    glob_t found{};
    int flags = GLOB_NOSORT;
    for (const char* pattern :
         {"/etc/ssl/certs/java/cacerts", "/etc/ssl/certs/adoptium/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts",
          "/usr/lib/jvm/*/lib/security/cacerts", "/usr/lib/jvm/*/jre/lib/security/cacerts",
          "/opt/*/lib/security/cacerts"}) {
        ::glob(pattern, flags, nullptr, &found);
        flags |= GLOB_APPEND;
    }
    for (std::size_t at = 0; at < found.gl_pathc; ++at) {
        const std::string path = found.gl_pathv[at];
        if (real_path(path) == path) facts.java_trust_stores.push_back(path);
    }
    ::globfree(&found);
    std::sort(facts.java_trust_stores.begin(), facts.java_trust_stores.end());
}

/// Sanctum's folders as they are on this machine, links resolved; those that do not exist yet as they will be.
void gather_own_folders(HostFacts& facts) {
    const Places places = places_of_this_process();
    const std::size_t slash = places.configuration.rfind('/');
    const std::string configuration = slash == std::string::npos ? "" : places.configuration.substr(0, slash);
    for (const std::string& folder : {places.data, places.state, places.runtime, configuration}) {
        if (!folder.starts_with('/')) continue;
        std::string real = real_path(folder);
        facts.sanctum_folders.push_back(real.empty() ? folder : std::move(real));
    }
    facts.program_folders = {places.commands, places.programs};
}

/// File systems whose mounts can be shown with other ids; a mount that refuses all the same ends the set-up.
bool can_be_idmapped(const std::string& path) {
    struct statfs status {};
    if (::statfs(path.c_str(), &status) != 0) return false;
    constexpr unsigned long kTypes[] = {0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x4d44};
    const auto type = static_cast<unsigned long>(status.f_type);
    return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

GrantFacts grant_of(const std::string& path) {
    GrantFacts grant;
    struct stat status {};
    std::string real = real_path(path);
    if (real.empty() || ::stat(real.c_str(), &status) != 0) return grant;
    grant.can_be_idmapped = can_be_idmapped(real);
    grant.real_path = std::move(real);
    grant.owner = status.st_uid;
    grant.group = status.st_gid;
    grant.is_folder = S_ISDIR(status.st_mode);
    return grant;
}

/// Sockets and secrets below a granted folder, each once.
Status look_through(HostFacts& facts, const std::string& grant, std::set<std::string>& seen) {
    return walk_folder(facts.grants.at(grant).real_path, [&](const WalkEntry& entry) {
        std::string path = grant + "/" + entry.path;
        const bool is_secret = is_secret_place(path);
        if (!is_secret && entry.kind != WalkEntry::Kind::Socket) return Descend::Yes;
        if (!seen.insert(path).second) return Descend::No;
        if (!is_secret) facts.sockets.push_back(std::move(path));
        else facts.secrets.push_back(entry.kind == WalkEntry::Kind::Folder ? path + "/" : std::move(path));
        return Descend::No;
    });
}

bool lies_in(std::string_view path, std::string_view folder) {
    return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

/// Where a place inside lies on this machine, if what shows it there is read-only; empty: nothing shows it, or a folder
/// for it can be made.
std::string shown_read_only(const std::string& target, const profiles::Mission& mission) {
    std::string shown;
    std::size_t depth = 0;
    const auto consider = [&](std::string_view inside, const std::string& outside, bool writable) {
        if (!lies_in(target, inside) || inside.size() < depth) return;
        depth = inside.size();
        shown = writable ? "" : outside + target.substr(inside.size());
    };
    for (const RootPlace& folder : system_folders()) consider(folder.path, std::string(folder.path), false);
    for (const RootPlace& place : system_settings()) consider(place.path, std::string(place.path), false);
    const profiles::Sandbox& sandbox = mission.sandbox;
    for (const profiles::Mount& mount : sandbox.mounts) consider(mount.target, mount.source, mount.writable);
    consider(sandbox.workspace, sandbox.workspace, sandbox.workspace_writable);
    return shown;
}

Status gather_grants(HostFacts& facts, const profiles::Mission& mission, GrantSearch search) {
    for (const profiles::Mount& mount : mission.sandbox.mounts) {
        const std::string shown = shown_read_only(mount.target, mission);
        if (shown.empty() || !real_path(shown).empty()) continue;
        facts.missing_mount_points.push_back(mount.target);
    }
    std::set<std::string> seen;
    std::vector<std::string> granted{mission.sandbox.workspace};
    for (const profiles::Mount& mount : mission.sandbox.mounts) granted.push_back(mount.source);
    for (const std::string& path : granted) facts.grants.emplace(path, grant_of(path));
    for (const std::string& path : granted) {
        if (search == GrantSearch::No) break;
        const GrantFacts& grant = facts.grants.at(path);
        // A grant that is too wide is refused by name; looking through the whole machine first would take minutes.
        const bool is_kernels = grant.real_path == "/proc" || grant.real_path.starts_with("/proc/");
        const bool is_too_wide = is_kernels || profiles::too_wide(grant.real_path, facts.real_home);
        if (grant.is_folder && !is_too_wide) {
            SANCTUM_CHECK(look_through(facts, path, seen));
        }
        if (grant.real_path.empty() || grant.is_folder) continue;
        struct stat status {};
        if (::stat(grant.real_path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) facts.sockets.push_back(path);
    }
    if (mission.sandbox.home == profiles::Home::Kept) {
        facts.grants.emplace(mission.sandbox.home_store, grant_of(mission.sandbox.home_store));
    }
    const GrantFacts& workspace = facts.grants.at(mission.sandbox.workspace);
    facts.workspace_owner = workspace.owner;
    facts.workspace_group = workspace.group;
    facts.workspace_can_be_idmapped = workspace.can_be_idmapped;
    return {};
}

}  // namespace

Result<HostFacts> gather_host_facts(const profiles::Mission& mission, GrantSearch search) {
    HostFacts facts;
    gather_caller(facts);
    gather_kernel(facts);
    gather_namespaces(facts);
    gather_roots(facts);
    gather_java_trust_stores(facts);
    gather_own_folders(facts);
    SANCTUM_CHECK(gather_grants(facts, mission, search));
    const profiles::SandboxLimits& asked = mission.sandbox.limits;
    if (asked.memory_bytes || asked.processes || asked.cpus_milli) gather_control_groups(facts, asked);
    return facts;
}

}  // namespace sanctum::launcher
