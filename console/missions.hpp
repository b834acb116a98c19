// SPDX-License-Identifier: Apache-2.0
// The missions of this machine as their folders say it: which there are, which live, which one a word means.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"

#include <string>
#include <vector>

namespace sanctum::console {

/// Ids of all mission folders, oldest first (a ULID begins with its time). A missing folder is no missions. Errors: Io.
[[nodiscard]] Result<std::vector<std::string>> list_missions(const Places& places);

/// The id that a word means: a whole id, a unique beginning of one, or `last`. Errors: NotFound (with what there is),
/// Limit (several begin so).
[[nodiscard]] Result<std::string> find_mission(const Places& places, const std::string& word);

/// True while the mission's launcher holds its ledger. A folder without a ledger is not alive.
[[nodiscard]] bool is_mission_alive(const Places& places, const std::string& id);

}  // namespace sanctum::console
