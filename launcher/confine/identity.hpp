// SPDX-License-Identifier: Apache-2.0
// Who a process is: id maps, the change of user where root started us, and what /proc shows of its past.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "launcher/plan/sandbox_plan.hpp"

#include <sys/types.h>

namespace sanctum::launcher {

/// Overwrites this process's environment and command line where /proc/PID/{environ,cmdline} show them. It never execs,
/// so the launcher's would stay there. Errors: Io, Protocol (unreadable /proc/self/stat).
[[nodiscard]] Status wipe_process_image();

/// Unprivileged: the new namespace's owner maps its own single id (setgroups denied first). Needs to be dumpable.
[[nodiscard]] Status map_own_id(const SandboxPlan& plan);

/// Started by root: the launcher writes the maps of `child`, which then may become the plan's user and nobody else.
[[nodiscard]] Status map_id_of(pid_t child, const SandboxPlan& plan);

/// Takes the plan's user and group for good; no supplementary groups.
[[nodiscard]] Status become_user(const SandboxPlan& plan);

/// A user namespace that shows files of root as files of the plan's user, for MOUNT_ATTR_IDMAP; user_namespaces(7).
[[nodiscard]] Result<UniqueFd> make_root_to_user_mapping(const SandboxPlan& plan);

}  // namespace sanctum::launcher
