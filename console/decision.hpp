// SPDX-License-Identifier: Apache-2.0
// A decision that was made, found again by the id that the agent was told (`Sanctum-Decision: MISSION-e12`).
#pragma once

#include "console/commands.hpp"

#include <string>
#include <string_view>

namespace sanctum::console {

/// True for `ULID-eN`, and for `last-eN`: of the newest mission.
[[nodiscard]] bool is_decision_id(std::string_view text);

/// Prints what the ledger knows about it, for the operator: reason, rule, its place in the profile when that is
/// unchanged, and who asked.
Exit explain_decision(Console& console, const std::string& id, Format format);

}  // namespace sanctum::console
