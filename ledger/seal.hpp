// SPDX-License-Identifier: Apache-2.0
// The end of a ledger: mission.ended, the last signed head, the receipt. One way for a living mission and a lost one.
#pragma once

#include "ledger/chain_file.hpp"
#include "ledger/receipt_file.hpp"

namespace sanctum::ledger {

/// Adds `ended` unless the chain has its end already, signs, writes, syncs, and publishes the receipt. Waits, within
/// the witness's bound, for what it says about the heads.
/// Errors: Io (what was written stays valid; recover() goes on from there).
[[nodiscard]] Result<Sealed> seal_chain(ChainFile& chain, MissionEnded ended, const std::string& receipts_path,
                                        Published published, const Clock& clock);

}  // namespace sanctum::ledger
