// SPDX-License-Identifier: Apache-2.0
// SandboxPlan: what the launcher will do, as plain data. Made by plan_sandbox, walked by launcher/confine, printed by
// `explain` and `--dry-run`. Nothing is decided after the first system call.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

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
    uid_t workspace_owner = 0;
    gid_t workspace_group = 0;
    bool workspace_can_be_idmapped = false;
    std::vector<std::string> existing_roots;   ///< of /usr /bin /sbin /lib* /opt and the /etc files: those that exist
    std::map<std::string, std::string> root_links;  ///< `/bin` → `usr/bin` where the machine has a symlink
    std::string time_zone;
    std::string ca_bundle;           ///< system bundle path, e.g. /etc/ssl/certs/ca-certificates.crt
    std::vector<std::string> sanctum_folders;  ///< data, state, configuration, programs: never inside a writable grant
    std::uint64_t limit_processes_hard = 0;
    std::uint64_t limit_data_hard = 0;
    std::uint32_t cpus = 0;
};

enum class MountKind : std::uint8_t { Bind, BindReadOnly, Tmpfs, Proc, Device, Symlink, File, MaskFile, MaskFolder };

/// One step of building the new root. Targets are absolute inside the new root; parents are made as needed.
struct MountStep {
    MountKind kind{};
    std::string source;   ///< Bind*, Device: place outside; Symlink: what it points to
    std::string target;
    std::string content;  ///< File: text written to a read-only file on tmpfs
    std::uint64_t bytes_max = 0;  ///< Tmpfs
    std::uint32_t mode = 0755;
    bool idmapped = false;        ///< root-owned source shown as the agent's
    std::string reason;           ///< for explain
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
    std::string cgroup_path;
};

/// One row of the agent's filter: what happens to a call by number (and argument test).
struct FilterRow {
    int number;
    enum class Action : std::uint8_t { Allow, Errno, Notify } action;
    int error;           ///< Errno
    int argument;        ///< -1: none
    enum class Test : std::uint8_t { None, Equal, MaskedEqual, MaskedNotEqual, Below } test;
    std::uint64_t mask;
    std::uint64_t value;
    const char* reason;
};

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
    std::vector<std::string> runs_later_existing;  ///< files that run later, bound read-only
    // network
    std::vector<std::uint16_t> ports;      ///< TCP listeners inside, besides DNS
    bool attribute = true;                 ///< install the watch
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
/// root-owned workspace that cannot be idmapped). `files_that_run_later`: existing ones, found by the caller.
[[nodiscard]] Result<SandboxPlan> plan_sandbox(const profiles::Mission& mission, const HostFacts& facts,
                                               std::vector<std::string> command, bool new_session,
                                               const std::string& working_directory,
                                               const std::vector<std::string>& files_that_run_later);

/// The plan as text, stable, for golden files and `--dry-run`.
[[nodiscard]] std::string render_plan(const SandboxPlan& plan);

/// Reads this machine. Errors: Io.
[[nodiscard]] Result<HostFacts> gather_host_facts(const profiles::Mission& mission);

}  // namespace sanctum::launcher
