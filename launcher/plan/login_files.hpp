// SPDX-License-Identifier: Apache-2.0
// Files by which an agent takes itself for logged in: the catalog's texts with placeholders put in. Pure.
#pragma once

#include "base/clock.hpp"
#include "launcher/plan/sandbox_plan.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <string>
#include <vector>

namespace sanctum::launcher {

/// What the files of `login` hold for an account that was connected. `{NAME}` becomes the text `shown` has of that name
/// as the inside of a JSON string, nothing where it has none; `{scopes}` a JSON list; `{now}` and `{expires_unix_ms}`
/// the times, so that the agent's client sees no reason to renew its login before the mission ends.
[[nodiscard]] std::vector<HomeFile> login_files(const profiles::Login& login,
                                                const std::map<std::string, std::string>& shown,
                                                const std::vector<std::string>& scopes, WallTime now,
                                                WallTime mission_end);

}  // namespace sanctum::launcher
