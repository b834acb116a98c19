// SPDX-License-Identifier: Apache-2.0
// What `sanctum doctor` looks at: this machine and this user's set-up, read once, so that findings are tested without
// the machine. Independent of the launcher's facts on purpose: doctor also runs where a launcher cannot start.
#pragma once

#include "base/result.hpp"
#include "console/console.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::console {

/// What became of a child of ours that tried to enter its own namespaces.
struct NamespaceTrial {
    bool user = false;    ///< a user namespace could be made and mapped
    bool mount = false;
    bool network = false;
    bool pid = false;
    bool host_name = false;  ///< a host name of its own could be set (container engines' filters may forbid it)
    bool proc = false;    ///< a new /proc could be mounted in it (masked ones forbid it)
    std::string failed_at;  ///< empty: everything worked
    int sys_errno = 0;
};

struct MachineFacts {
    std::uint32_t uid = 0;
    std::string kernel_release;
    // namespaces
    std::optional<std::int64_t> max_user_namespaces;           ///< /proc/sys/user/max_user_namespaces
    std::optional<std::int64_t> unprivileged_userns_clone;     ///< Debian's switch
    std::optional<std::int64_t> apparmor_restricts_userns;     ///< Ubuntu's switch
    NamespaceTrial trial;
    // container
    bool is_container = false;
    std::string container;              ///< docker, podman, lxc, …
    int seccomp_mode = 0;               ///< of this process: 0 none, 2 filter
    bool has_no_new_privileges = false;
    bool has_masked_proc = false;       ///< something is mounted over parts of /proc
    // kernel facilities
    bool has_seccomp_notify = false;
    std::uint32_t landlock_abi = 0;
    std::string landlock_why;           ///< when 0: not built in, or switched off at boot
    bool has_cgroup2 = false;
    std::vector<std::string> cgroup2_delegated;  ///< controllers this user may set
    bool has_cgroup1 = false;
    // set-up
    std::vector<std::string> certificate_variables;  ///< inherited ones that point clients at another CA bundle
    std::string state_folder;
    std::string state_filesystem;       ///< tmpfs, overlay, ext4, …
    std::uint64_t state_free_bytes = 0;
    bool state_is_writable = false;
    std::int64_t unix_ms = 0;
    std::int64_t program_unix_ms = 0;   ///< date of this program's file: the clock cannot be before
    bool has_store = false;
    std::string store;
    std::string unlock;                 ///< how the configuration opens it: `key-file:PATH`, …; empty: by hand
    bool can_read_key_file = false;
    bool has_ledger_key = false;
    std::string ledger_key_fault;       ///< when there is one that cannot be used
    std::string configuration;
    bool has_configuration = false;
    std::string configuration_fault;
    std::vector<std::string> login_catalogs;  ///< of the configuration's accounts whose source is a login; sorted
    std::vector<std::string> missing_programs;
    bool has_catalog = false;
    std::vector<std::string> writable_by_others;  ///< trusted folders that another user could change
};

/// Reads this machine; tries namespaces in a child that ends at once. Never fails: what cannot be read is unknown.
[[nodiscard]] MachineFacts gather_machine_facts(const Console& console);

}  // namespace sanctum::console
