// SPDX-License-Identifier: Apache-2.0
// Opening a mission's record: its folder, mission.json, the ledger with its first line.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "launcher/run/mission_record.hpp"
#include "launcher/run/peers.hpp"
#include "launcher/run/preparation.hpp"

#include <memory>
#include <string>

namespace sanctum::launcher {

/// The text of missions/ID/mission.json: what a reaper, a verifier and `sanctum ps` need when nobody answers any more.
[[nodiscard]] Result<std::string> mission_json(const PreparedMission& prepared, const MissionTimes& times,
                                               const std::string& salt_hex);

/// Creates the ledger with this machine's key and writes mission.started; it is on disk when this returns.
/// Errors: Io, Limit, NotPermitted, Protocol (key).
[[nodiscard]] Result<std::unique_ptr<MissionRecord>> open_record(const PreparedMission& prepared,
                                                                 const MissionTimes& times, const std::string& salt_hex,
                                                                 const Clock& clock);

/// Whether another mission of this state folder has no receipt and no living launcher. Looks at kMissionsLookedAtMax
/// folders at most.
[[nodiscard]] bool has_unfinished_missions(const Places& places, const std::string& own_mission);

}  // namespace sanctum::launcher
