// SPDX-License-Identifier: Apache-2.0
// The plan's limits, by control group or by rlimits and affinity; see cgroups(7), setrlimit(2).
#pragma once

#include "base/result.hpp"
#include "launcher/plan/sandbox_plan.hpp"

#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

/// Folders of the control groups that a plan makes; empty where it uses none.
[[nodiscard]] std::vector<std::string> control_groups(const SandboxPlan& plan);

/// Makes the groups, sets their limits and puts `init` in. The launcher's work, before init goes on. Errors: Io.
[[nodiscard]] Status join_control_groups(const SandboxPlan& plan, pid_t init);

/// Removes what join_control_groups() made, once every process in it is gone; a group that is still busy is left.
void remove_control_groups(const std::vector<std::string>& groups);

/// Per-process limits of the held agent: rlimits, affinity, no core files. Errors: Io.
[[nodiscard]] Status set_process_limits(const SandboxPlan& plan);

/// Makes the kernel prefer the agent when memory runs out. Needs to be dumpable. Errors: Io.
[[nodiscard]] Status offer_to_oom_killer();

}  // namespace sanctum::launcher
