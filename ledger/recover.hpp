// SPDX-License-Identifier: Apache-2.0
// Completing a ledger whose launcher died: `sanctum reap` and the next `sanctum-run` call it, under the file's lock.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "ledger/ledger.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sanctum::ledger {

/// What recover() found and did.
struct Recovery {
    enum class Kind {
        Alive,      ///< the mission is running; nothing was touched
        Complete,   ///< sealed already
        Recovered,  ///< ends, head and receipt were added
        Removed,    ///< the launcher died before its first record: what it had laid out is gone
    } kind = Kind::Alive;
    std::uint64_t repaired = 0;    ///< unterminated lines that were cut
    std::uint64_t lease_ends = 0;  ///< lease.changed records that were added
    std::uint64_t unknown = 0;     ///< exchanges whose end nobody saw
    Sealed sealed;
};

/// Continues missions/ID/ledger.jsonl of a dead mission: cuts an unterminated last line, adds an outcome `unknown` for
/// every intent without an end, the ends in `lease_ends` (the vault's journal), an `orphaned` or `expired` end for
/// every other lease without one, mission.ended with reason `lost`, a signed head, and the receipt. May be called again
/// after it was itself interrupted.
/// A mission without a first record is removed instead, under the same lock: nothing had run.
/// Errors: NotFound, Protocol (the chain is broken: it is left as it is, as evidence), Io.
[[nodiscard]] Result<Recovery> recover(const std::string& mission_folder, const std::string& mission_id,
                                       const std::vector<wire::LeaseChanged>& lease_ends,
                                       const std::string& receipts_path, std::shared_ptr<const SigningKey> key,
                                       const Clock& clock);

/// Removes the folder of a mission that has no record: its empty ledger, mission.json (an unfinished one too) and the
/// reserve. By name, so that a folder that holds anything else stays. Errors: Io.
[[nodiscard]] Status remove_unrecorded(const std::string& mission_folder);

}  // namespace sanctum::ledger
