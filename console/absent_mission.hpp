// SPDX-License-Identifier: Apache-2.0
// What is left of missions whose folder is gone: the receipt in the chain and, when `sanctum prune` took the folder
// away, the signed line that says so.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "ledger/pruned.hpp"
#include "ledger/receipt_file.hpp"

#include <optional>
#include <string>

namespace sanctum::console {

struct AbsentMission {
    ledger::Receipt receipt;                ///< as it stands in the chain; its signature was checked
    std::optional<ledger::Pruned> pruned;   ///< empty: the folder is missing, nobody said that it was removed

    /// `pruned on DATE …` or `missing …`: what became of the folder and what is left.
    [[nodiscard]] std::string fate() const;
};

/// The mission of receipts.jsonl without a folder that `word` means: a whole id, a unique beginning of one, or `last`.
/// To be asked when find_mission() found no folder. Errors: NotFound (no such receipt, or no key to check one), Limit
/// (several begin so), Protocol, Io.
[[nodiscard]] Result<AbsentMission> find_absent_mission(const Places& places, const std::string& word);

/// The error of find_mission() for `word`, or, where the mission only has no folder any more, what became of it.
[[nodiscard]] Error error_of_absent(const Places& places, const std::string& word, Error error);

}  // namespace sanctum::console
