// SPDX-License-Identifier: Apache-2.0
// Reaper: ends the leases of missions whose vault is gone (killed, crashed, power lost), from the journal alone.
//
// It needs no store; what can be given back without one, it gives back (vault/retirement.hpp). It may run at any time,
// twice at once, and again: a mission is its own as long as it holds the lock that the dead vault left, and what has
// its end keeps it.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "vault/journal.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace sanctum::vault {

/// What a lease without an end becomes when its vault is gone, at `now`. Pure; rows with a final end stay as they are.
/// True when the row was changed.
[[nodiscard]] bool end_dead_lease(LeaseRow& row, WallTime now);

struct ReapReport {
    std::size_t finished = 0;   ///< leases that got their end, or a later one, in this run
    std::size_t waiting = 0;    ///< leases whose credential may still be alive (parked, orphaned)
    std::size_t alive = 0;      ///< missions whose vault lives
};

/// Gives one credential back; the outcome's sentence goes on record. Called for leases that have a retirement.
using GiveBack = std::function<RetireOutcome(const LeaseRow&)>;

/// Finishes dead missions. `on_end` is called for every ended lease of a dead mission whose ledger is not sealed yet
/// (missions/ID/receipt.json is not there), in order, also when an earlier run ended it: the ledger may have missed
/// it. `only`: one mission's id, or empty. Errors: as Journal; InvalidProfile (`only` is no mission id).
[[nodiscard]] Result<ReapReport> reap(const std::string& state_folder, const std::string& only, const Clock& clock,
                                      const GiveBack& give_back, const std::function<void(const LeaseRow&)>& on_end);

/// The operator's word that a credential which may be alive (parked, orphaned) is over: its lease has ended from here
/// on in the journal, and nothing is sent for it any more. The mission's record stays as it was sealed. Errors:
/// InvalidProfile (`mission` is no mission id), NotFound, Denied (its mission runs or is not sealed, or the lease is
/// over or has not ended), and as Journal.
[[nodiscard]] Result<LeaseRow> forget_lease(const std::string& state_folder, const std::string& mission,
                                            const std::string& lease);

/// Missions that are not done with: their vault lives, or a credential of theirs may still be alive. Changes nothing.
/// Errors: as Journal; Limit (kUnfinishedMissionsMax).
[[nodiscard]] Result<std::vector<std::string>> unfinished_missions(const std::string& state_folder, const Clock& clock);

}  // namespace sanctum::vault
