// SPDX-License-Identifier: Apache-2.0
// Verification of one mission's ledger and receipt with nothing but the files and the public key.
//
// What it proves: nothing was changed after a head left this machine (a witness, or a copy of receipts.jsonl). It does
// not bind the owner of the signing key before that.
#pragma once

#include "base/result.hpp"
#include "ledger/keys.hpp"
#include "ledger/read_ledger.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sanctum::ledger {

enum class LedgerState {
    Open,      ///< its mission is running
    Sealed,    ///< ended, signed, and the receipt is what the ledger gives
    Unsealed,  ///< its writer died or is not done; what is there is intact, `sanctum reap` completes it
    Broken,    ///< something was changed, cut, added or reordered
};
/// `open`, `sealed`, `unsealed`, `broken`.
[[nodiscard]] std::string_view name_of(LedgerState state);

/// A head that somebody kept elsewhere: the ledger must still hold it (protects against an older copy).
struct KnownHead {
    std::uint64_t seq = 0;
    wire::Digest hash{};
};

struct VerifyOptions {
    std::optional<KnownHead> at_least;
    /// The mission's envelope in receipts.jsonl, when that has one (see read_receipts).
    const std::string* published_receipt = nullptr;
};

struct Verification {
    LedgerState state = LedgerState::Broken;
    std::uint64_t records = 0;
    std::uint64_t torn_bytes = 0;
    std::uint64_t unknown_outcomes = 0;        ///< exchanges that may have been sent and whose end nobody saw
    std::optional<std::uint64_t> bad_record;   ///< the first, counted from 0 (its `seq`)
    std::string why;                           ///< for Unsealed and Broken
    wire::Digest head{};
    Receipt receipt;                           ///< computed from the ledger; partial unless Sealed
};

/// Errors: NotFound (no ledger), Io. Everything that is wrong with the content is an answer, not an error.
[[nodiscard]] Result<Verification> verify_mission(const std::string& mission_folder, const std::string& mission,
                                                  const VerifyingKey& key, const VerifyOptions& options = {});

}  // namespace sanctum::ledger
