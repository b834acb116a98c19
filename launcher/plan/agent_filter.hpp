// SPDX-License-Identifier: Apache-2.0
// The agent's system-call filter as data: what may be called, for what purpose, and what a refused program is told.
#pragma once

#include "launcher/plan/sandbox_plan.hpp"

#include <vector>

namespace sanctum::launcher {

enum class Watch : std::uint8_t { Off, Connections };
enum class Affinity : std::uint8_t { Free, Fixed };  ///< Fixed: the processors are the plan's limit

/// All rows for `architecture`, in the order in which they count. Calls without a row answer ENOSYS. Pure.
[[nodiscard]] std::vector<FilterRow> agent_filter(Architecture architecture, Watch watch, Affinity affinity);

}  // namespace sanctum::launcher
