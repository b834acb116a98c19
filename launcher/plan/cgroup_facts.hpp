// SPDX-License-Identifier: Apache-2.0
// Which control groups this process could make for a mission.
#pragma once

#include "launcher/plan/sandbox_plan.hpp"

#include <string>
#include <vector>

namespace sanctum::launcher {

/// Fills has_cgroup2_delegation, cgroup2_path, has_cgroup1 and cgroup1_folders for what is asked. See cgroups(7).
void gather_control_groups(HostFacts& facts, const profiles::SandboxLimits& asked);

/// One line of /proc/self/cgroup.
struct OwnGroup {
    std::vector<std::string> controllers;  ///< empty: v2
    std::string path;
};

/// Parses /proc/self/cgroup. Pure.
[[nodiscard]] std::vector<OwnGroup> parse_own_groups(const std::string& text);

}  // namespace sanctum::launcher
