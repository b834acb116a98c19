// SPDX-License-Identifier: Apache-2.0
// sanctum-run inside a mission: it builds nothing, but hands profile, arguments, variables and descriptors 0 to 2 to
// the outer launcher, passes signals on, and ends as the child mission ends. It runs in the sandbox, trusted by nobody.
#pragma once

#include "launcher/run/options.hpp"
#include "launcher/run/status.hpp"

#include <map>
#include <string>

namespace sanctum::launcher {

/// Id of the mission that this process is in; empty: in none.
[[nodiscard]] std::string mission_around(const std::map<std::string, std::string>& environment);

/// Asks for a child mission and waits for its end. A mission whose profile does not say `delegate = true` has no socket
/// for it: then, and whenever nothing was run, the ending says 125 and what to do.
[[nodiscard]] Ending run_child_mission(const Options& options, const std::map<std::string, std::string>& environment,
                                       StatusLines& status);

}  // namespace sanctum::launcher
