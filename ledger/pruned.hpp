// SPDX-License-Identifier: Apache-2.0
// What was removed on purpose: pruned.jsonl, a signed line for each mission whose folder `sanctum prune` took away.
//
// The receipt stays in the chain. Without such a line a mission whose folder is gone counts as missing.
#pragma once

#include "base/result.hpp"
#include "base/wire/archive.hpp"
#include "ledger/envelope.hpp"
#include "ledger/keys.hpp"
#include "ledger/receipt.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace sanctum::ledger {

/// One removed mission, bound to its receipt's line.
struct Pruned {
    std::string schema = "sanctum.pruned/1";
    std::string mission;
    std::string pruned;      ///< RFC 3339
    wire::Digest receipt{};  ///< SHA-256 of the mission's line in receipts.jsonl
    ReceiptHead head;        ///< of the ledger that was removed
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("schema", self.schema);
        archive("mission", self.mission);
        archive("pruned", self.pruned);
        archive("receipt", self.receipt);
        archive("head", self.head);
    }
};

/// The file, read.
struct PrunedMissions {
    std::map<std::string, Pruned> missions;
    std::optional<std::uint64_t> bad_line;  ///< counted from 1; lines behind it are not used
    std::string why;
    /// The line about `mission`, when it names exactly this receipt.
    [[nodiscard]] const Pruned* find(const std::string& mission, std::string_view receipt_line) const;
};

/// Reads pruned.jsonl and checks every signature. A missing file is an empty list; an unterminated last line, which a
/// crash leaves, is passed over. Errors: Io, Limit.
[[nodiscard]] Result<PrunedMissions> read_pruned(const std::string& path, const VerifyingKey& key);

/// Appends a line to the file that open_envelopes opened at `path`, and syncs it. Errors: Io, Limit.
[[nodiscard]] Status append_pruned(int fd, const std::string& path, const Pruned& pruned, const SigningKey& key);

}  // namespace sanctum::ledger
