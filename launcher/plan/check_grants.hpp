// SPDX-License-Identifier: Apache-2.0
// What a profile may not grant: places so wide, or so much our own, that the rest of the sandbox would mean nothing.
#pragma once

#include "launcher/plan/sandbox_plan.hpp"

namespace sanctum::launcher {

/// Checks workspace, mounts and kept home. Pure. Errors: InvalidProfile with the place, why, and what to do.
[[nodiscard]] Status check_grants(const profiles::Mission& mission, const HostFacts& facts);

}  // namespace sanctum::launcher
