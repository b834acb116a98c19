// SPDX-License-Identifier: Apache-2.0
// From options to a plan: everything that is decided before the first process exists. A mistake of profile,
// configuration or machine ends here, with nothing to clean up.
#pragma once

#include "base/clock.hpp"
#include "base/places.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "launcher/plan/sandbox_plan.hpp"
#include "launcher/run/options.hpp"
#include "launcher/run/workspace_care.hpp"
#include "profiles/catalog/catalog.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"
#include "profiles/schema/trust.hpp"

#include <map>
#include <string>
#include <vector>

namespace sanctum::launcher {

/// One run, decided but not begun. Never changes afterwards.
struct PreparedMission {
    Places places;
    std::map<std::string, std::string> environment;  ///< of the caller
    profiles::OperatorConfig config;
    profiles::CatalogSet catalog;
    profiles::Mission mission;
    HostFacts facts;
    SandboxPlan plan;
    std::vector<WorkspaceCare> care;  ///< per folder that is cared for: what it was like before
    UniqueFd variables;       ///< sealed: what accounts of source `environment` take from it; closed: nothing, or
                              ///< handed over
    std::string witness;      ///< the program that is told of signed heads, without symbolic links; empty: none
};

/// Finds, reads and trusts the profile, resolves the mission, looks at the machine and plans the sandbox.
/// Untrusted profiles: asked about on the terminal where there is one, refused with the command to run elsewhere.
/// Errors: InvalidProfile, NotFound, Denied, Unsupported, Io; every one means exit 125.
[[nodiscard]] Result<PreparedMission> prepare_mission(const Options& options, const Clock& clock);

/// This process's environment by name.
[[nodiscard]] std::map<std::string, std::string> environment_of_this_process();

}  // namespace sanctum::launcher
