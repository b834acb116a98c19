// SPDX-License-Identifier: Apache-2.0
// Opening a mission's record: its folder, mission.json, the ledger with its first line.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "ledger/keys.hpp"
#include "launcher/run/mission_record.hpp"
#include "launcher/run/peers.hpp"
#include "launcher/run/preparation.hpp"

#include <memory>
#include <string>

namespace sanctum::launcher {

/// The text of missions/ID/mission.json: what a reaper, a verifier and `sanctum ps` need when nobody answers any more.
[[nodiscard]] Result<std::string> mission_json(const PreparedMission& prepared, const MissionTimes& times,
                                               const std::string& salt_hex);

/// This machine's ledger key, made at the first mission. Errors: Io, NotPermitted, Protocol.
[[nodiscard]] Result<ledger::SigningKey> load_ledger_key(const Places& places);

/// Creates the ledger and hands it mission.started, which is on its way to the disk when this returns; where it does
/// not get there, nothing else does, and the mission ends. `witness` (may be null) outlives the record.
/// Errors: Io, Limit.
[[nodiscard]] Result<std::unique_ptr<MissionRecord>> open_record(const PreparedMission& prepared,
                                                                 const MissionTimes& times, const std::string& salt_hex,
                                                                 ledger::SigningKey key, ledger::HeadWitness* witness,
                                                                 const Clock& clock);

/// Whether another mission of this state folder has no receipt and no living launcher. Looks at kMissionsLookedAtMax
/// folders at most.
[[nodiscard]] bool has_unfinished_missions(const Places& places, const std::string& own_mission);

}  // namespace sanctum::launcher
