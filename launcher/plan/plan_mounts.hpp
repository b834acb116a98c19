// SPDX-License-Identifier: Apache-2.0
// The steps that build the agent's root: machine's programs, synthesised settings, grants, masks.
#pragma once

#include "launcher/plan/sandbox_plan.hpp"

#include <string_view>

namespace sanctum::launcher {

/// Fills the plan's mounts and Landlock paths; identity, home, workspace and files that run later are set already.
/// Pure. Errors: InvalidProfile (a grant that does not exist, is too wide or hits Sanctum's own folders), Limit.
[[nodiscard]] Status plan_mounts(SandboxPlan& plan, const profiles::Mission& mission, const HostFacts& facts);

/// True when `path` is `folder` or lies below it; both absolute, without a final slash.
[[nodiscard]] bool is_same_or_below(std::string_view path, std::string_view folder);

}  // namespace sanctum::launcher
