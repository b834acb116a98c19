// SPDX-License-Identifier: Apache-2.0
// Receipts as files: the DSSE envelope, missions/ID/receipt.json, and the machine's chain receipts.jsonl (formats 7).
#pragma once

#include "base/result.hpp"
#include "ledger/keys.hpp"
#include "ledger/receipt.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::ledger {

/// What a signed envelope holds, after its signature was checked.
struct OpenedReceipt {
    Receipt receipt;
    std::string payload;  ///< the signed bytes
};

/// One line: the envelope of `receipt`. See https://github.com/secure-systems-lab/dsse (protocol, envelope).
[[nodiscard]] std::string seal_envelope(const Receipt& receipt, const SigningKey& key);

/// Checks form and signature. Errors: Protocol with what is wrong.
[[nodiscard]] Result<OpenedReceipt> open_envelope(std::string_view envelope, const VerifyingKey& key);

/// Whether the mission may have a receipt in receipts.jsonl already (recovery after a crash between the two files).
enum class Published { No, Perhaps };

/// Under the lock of receipts.jsonl: names the receipt before, appends the envelope and syncs it, then writes
/// `mission_folder`/receipt.json. With `Perhaps` an envelope of this mission that is there already is used as it is.
/// Errors: Io.
[[nodiscard]] Status publish_receipt(Receipt receipt, const SigningKey& key, const std::string& mission_folder,
                                     const std::string& receipts_path, Published published);

/// A receipt's line in the chain.
struct ChainedReceipt {
    std::string mission;
    std::string envelope;
};

struct ReceiptChain {
    std::vector<ChainedReceipt> receipts;  ///< the good ones, in order
    std::uint64_t torn_bytes = 0;
    std::optional<std::uint64_t> bad_line;  ///< counted from 1
    std::string why;
    [[nodiscard]] const std::string* find(std::string_view mission) const;
};

/// Reads receipts.jsonl and checks every signature and the chain. A missing file is an empty chain. Errors: Io.
[[nodiscard]] Result<ReceiptChain> read_receipts(const std::string& receipts_path, const VerifyingKey& key);

}  // namespace sanctum::ledger
