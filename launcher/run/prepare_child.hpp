// SPDX-License-Identifier: Apache-2.0
// From an agent's request to the plan of a child mission: the counterpart of prepare_mission().
#pragma once

#include "base/clock.hpp"
#include "launcher/run/child_side.hpp"
#include "launcher/run/preparation.hpp"

#include <variant>

namespace sanctum::launcher {

/// Checks the request's profile against the parent, resolves it with the operator's configuration, narrows it, and
/// plans a sandbox that shows what the parent's shows, or less. Nothing that the request names is opened; the granted
/// places must be the very ones that the parent was given. Refusals: `profile` (not a profile), `wider`, `setup`.
[[nodiscard]] std::variant<PreparedMission, ChildRefusal> prepare_child_mission(const ChildRequest& request,
                                                                                const ParentFile& parent,
                                                                                const Clock& clock);

}  // namespace sanctum::launcher
