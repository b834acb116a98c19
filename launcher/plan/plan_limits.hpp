// SPDX-License-Identifier: Apache-2.0
// Which mechanism enforces the limits that a mission asks for: the first that can give all of them.
#pragma once

#include "launcher/plan/sandbox_plan.hpp"

namespace sanctum::launcher {

/// Control group v2, then v1, then rlimits and affinity. Pure. Errors: Unsupported, naming what cannot be had, unless
/// the mission accepts that.
[[nodiscard]] Result<PlannedLimits> plan_limits(const profiles::Mission& mission, const HostFacts& facts);

}  // namespace sanctum::launcher
