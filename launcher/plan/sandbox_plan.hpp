// SPDX-License-Identifier: Apache-2.0
// SandboxPlan: what the launcher will do, as plain data. Made by plan_sandbox, walked by launcher/confine, printed by
// `explain` and `--dry-run`. Nothing is decided after the first system call.
#pragma once

#include "base/confinement/call_filter.hpp"
#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

/// What one granted place of the machine is.
struct GrantFacts {
    std::string real_path;  ///< without symbolic links; empty: does not exist or may not be looked at
    uid_t owner = 0;
    gid_t group = 0;
    bool is_folder = false;
    bool can_be_idmapped = false;
};

/// What this machine and this caller are; gathered once by gather_host_facts(), an argument everywhere else.
struct HostFacts {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string user_name;           ///< of the caller
    std::string kernel_release;
    std::uint32_t landlock_abi = 0;  ///< 0: not available
    bool has_user_namespaces = false;
    std::string user_namespaces_why; ///< when not: the likely reason and remedy
    bool has_seccomp_notify = false;
    bool has_cgroup2_delegation = false;
    std::string cgroup2_path;        ///< delegated folder where limits may be set
    bool has_cgroup1 = false;        ///< writable v1 memory/pids/cpu controllers (root)
    bool has_terminal = false;       ///< stdin, stdout or stderr is the controlling terminal
    std::string terminal_path;       ///< its device node, `/dev/pts/3`; empty without a terminal
    uid_t workspace_owner = 0;
    gid_t workspace_group = 0;
    bool workspace_can_be_idmapped = false;
    std::vector<std::string> existing_roots;   ///< of /usr /bin /sbin /lib* /opt and the /etc files: those that exist
    std::map<std::string, std::string> root_links;  ///< `/bin` → `usr/bin` where the machine has a symlink
    std::string time_zone;
    std::map<std::string, std::string> locale;  ///< the caller's LANG, LANGUAGE and LC_*, those that are set
    std::string ca_bundle;           ///< system bundle path, e.g. /etc/ssl/certs/ca-certificates.crt
    std::vector<std::string> java_trust_stores;  ///< files of roots that JVMs of the machine read, real paths
    std::vector<std::string> sanctum_folders;  ///< data, state, runtime, configuration: never part of a grant
    std::vector<std::string> key_files;        ///< what opens the operator's store: never part of a grant
    std::vector<std::string> secret_files;     ///< credentials of accounts: never part of a grant
    std::vector<std::string> operator_files;   ///< what decides or runs outside: never inside a writable grant
    std::vector<std::string> program_folders;  ///< Sanctum's programs: never inside a writable grant
    std::map<std::string, GrantFacts> grants;  ///< workspace, mounts and kept home, by the path named in the mission
    std::vector<std::string> missing_mount_points;  ///< targets of grants in places shown read-only that lack them
    std::vector<std::string> sockets;          ///< sockets that lie below a grant
    std::vector<std::string> secrets;          ///< known places of secrets below a grant; folders end in `/`
    std::string home;                          ///< the caller's, absolute
    std::string real_home;                     ///< where it leads, without links; empty: there is none
    std::string terminal_type;                 ///< TERM of the caller
    bool has_ipv6 = false;
    std::map<std::string, std::string> cgroup1_folders;  ///< controller → folder of this process
    std::uint64_t limit_processes_hard = 0;
    std::uint64_t limit_data_hard = 0;
    std::uint32_t cpus = 0;
};

enum class MountKind : std::uint8_t {
    Bind,            ///< a place of the machine, writable
    BindReadOnly,
    Tmpfs,
    Proc,
    Terminals,       ///< a fresh devpts
    Device,          ///< a device node of the machine
    Symlink,
    File,            ///< text on the root's tmpfs
    CopiedFile,      ///< content of a file of the machine, copied: Sanctum adds to it before the command runs
    MaskFile,        ///< hidden behind an empty file
    MaskFolder,      ///< hidden behind an empty folder
    ShownFile,       ///< a file of the new root, shown read-only at another place of it
    ReadOnlyInside,  ///< what the new root has there already, made read-only
};

/// One step of building the new root. Targets are absolute inside the new root; parents are made as needed.
struct MountStep {
    MountKind kind{};
    /// Bind*, Device, CopiedFile: place outside; Symlink: what it points to; ShownFile: place inside
    std::string source;
    std::string target;
    std::string content;  ///< File: text written to a read-only file on tmpfs
    std::uint64_t bytes_max = 0;  ///< Tmpfs
    std::uint32_t mode = 0755;
    bool idmapped = false;        ///< root-owned source shown as the agent's
    std::string reason;           ///< for explain
};

/// A file of ours in the agent's home, which it may change. One that a kept home has already is replaced.
struct HomeFile {
    std::string path;  ///< below the home
    std::string text;
};

/// Which mechanism enforces a limit.
enum class LimitMeans : std::uint8_t { None, Cgroup2, Cgroup1, Rlimits };

struct PlannedLimits {
    LimitMeans means = LimitMeans::None;
    std::uint64_t memory_bytes = 0;  ///< 0: not asked
    std::uint64_t processes = 0;
    std::uint64_t cpus_milli = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t open_files = 0;
    std::vector<std::string> missing;  ///< asked, not to be had, accepted by the profile
    std::string cgroup_path;                     ///< Cgroup2: the group to be made
    std::map<std::string, std::string> cgroups;  ///< Cgroup1: controller → group to be made
};

/// One row of the agent's filter; see base/confinement/call_filter.hpp.
using FilterRow = CallRule;

struct SandboxPlan {
    std::string mission_id;
    // who
    uid_t host_uid = 0;    ///< what the agent's uid is outside; never 0
    gid_t host_gid = 0;
    uid_t inside_uid = 0;  ///< same number inside
    gid_t inside_gid = 0;
    std::string user_name;
    std::string home;      ///< inside
    bool map_by_parent = false;  ///< started by root: the launcher writes the maps of the other id
    // files
    std::string workspace;
    std::string working_directory;
    std::vector<MountStep> mounts;         ///< in order
    std::vector<std::string> runs_later_existing;  ///< real paths on the machine, bound read-only
    std::vector<HomeFile> home_files;      ///< written when the new root is the root
    // network
    std::vector<std::uint16_t> ports;      ///< TCP listeners inside, besides DNS
    bool has_ipv6 = true;                  ///< IPv6 sockets and routes too
    bool attribute = true;                 ///< install the watch
    bool delegate = false;                 ///< a socket inside, at which the agent asks for child missions
    // kernel
    PlannedLimits limits;
    std::uint32_t landlock_abi = 0;        ///< to be enforced; 0 only where the profile accepts it
    std::vector<std::string> landlock_read;
    std::vector<std::string> landlock_write;
    std::vector<FilterRow> filter;
    bool new_session = false;
    // command
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;
    std::int64_t ttl_ms = 0;
};

/// Pure. Errors: InvalidProfile (workspace is or holds $HOME, / or Sanctum's folders; a mount of that kind),
/// Unsupported (limits or landlock_min that cannot be had and are not accepted; no user namespaces; root with a
/// root-owned workspace that cannot be idmapped). `files_that_run_later`: existing ones, real paths on the
/// machine, found by the caller.
[[nodiscard]] Result<SandboxPlan> plan_sandbox(const profiles::Mission& mission, const HostFacts& facts,
                                               std::vector<std::string> command, bool new_session,
                                               const std::string& working_directory,
                                               const std::vector<std::string>& files_that_run_later);

/// The plan as text, stable, for golden files and `--dry-run`.
[[nodiscard]] std::string render_plan(const SandboxPlan& plan);

/// Whether granted folders are looked through for sockets and secrets. A child mission takes its parent's lists:
/// nothing is searched in folders that a living agent may change.
enum class GrantSearch : std::uint8_t { Yes, No };

/// Reads this machine. Errors: Io.
[[nodiscard]] Result<HostFacts> gather_host_facts(const profiles::Mission& mission,
                                                  GrantSearch search = GrantSearch::Yes);

}  // namespace sanctum::launcher
