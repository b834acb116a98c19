// SPDX-License-Identifier: Apache-2.0
#include "ledger/receipt_file.hpp"

#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "ledger/envelope.hpp"
#include "ledger/read_ledger.hpp"

#include <cerrno>
#include <fcntl.h>

namespace sanctum::ledger {
namespace {

constexpr std::string_view kPayloadType = "application/vnd.sanctum.receipt+json";

// The envelope of `mission`, when the chain has one; damaged lines are not this function's business.
Result<std::optional<std::string>> find_envelope(int fd, std::string_view mission, const VerifyingKey& key) {
    LineReader lines(fd, kReceiptBytesMax);
    for (;;) {
        SANCTUM_TRY(std::optional<Line> line, lines.next());
        if (!line || !line->is_terminated) return std::optional<std::string>();
        const Result<OpenedReceipt> opened = open_envelope(line->text, key);
        if (opened && opened->receipt.mission == mission) return std::optional<std::string>(std::move(line->text));
    }
}

}  // namespace

std::string seal_envelope(const Receipt& receipt, const SigningKey& key) {
    return seal_payload(kPayloadType, wire::to_json(receipt), key);
}

Result<OpenedReceipt> open_envelope(std::string_view text, const VerifyingKey& key) {
    SANCTUM_TRY(std::string payload, open_payload("receipt", kPayloadType, text, key));
    SANCTUM_TRY(Receipt receipt, wire::from_json<Receipt>(payload));
    const bool is_known = receipt.schema == kReceiptSchema || receipt.schema == kFirstReceiptSchema;
    if (!is_known) {
        return Error{Errc::Unsupported, "receipt has schema " + receipt.schema + "; read it with a newer Sanctum"};
    }
    return OpenedReceipt{std::move(receipt), std::move(payload)};
}

Status publish_receipt(Receipt receipt, const SigningKey& key, const std::string& mission_folder,
                       const std::string& receipts_path, Published published) {
    SANCTUM_TRY(const UniqueFd fd, open_envelopes(receipts_path));
    std::optional<std::string> envelope;
    if (published == Published::Perhaps) {
        SANCTUM_TRY(envelope, find_envelope(fd.get(), receipt.mission, key.verifying_key()));
    }
    if (!envelope) {
        SANCTUM_TRY(const EnvelopesTail tail, read_envelopes_tail(fd.get(), receipts_path));
        receipt.previous = tail.last_line.empty() ? wire::Digest{} : sha256(tail.last_line);
        envelope = seal_envelope(receipt, key);
        SANCTUM_CHECK(append_envelope(fd.get(), receipts_path, tail, *envelope));
    }
    // Where a crash takes its name back, recover() makes it again from the chain, which is on disk.
    return write_file_atomically(mission_folder + "/receipt.json", *envelope + "\n", 0600, AfterCrash::OldOrNew);
}

const std::string* ReceiptChain::find(std::string_view mission) const {
    for (const ChainedReceipt& receipt : receipts) {
        if (receipt.mission == mission) return &receipt.envelope;
    }
    return nullptr;
}

Result<ReceiptChain> read_receipts(const std::string& receipts_path, const VerifyingKey& key) {
    ReceiptChain chain;
    const UniqueFd fd(::open(receipts_path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!fd && errno == ENOENT) return chain;
    if (!fd) return io_error("open " + receipts_path);
    LineReader lines(fd.get(), kReceiptBytesMax);
    wire::Digest previous{};
    for (std::uint64_t number = 1;; ++number) {
        SANCTUM_TRY(std::optional<Line> line, lines.next());
        if (!line) return chain;
        if (!line->is_terminated) {
            chain.torn_bytes = line->text.size();
            return chain;
        }
        Result<OpenedReceipt> opened = open_envelope(line->text, key);
        if (!opened || opened->receipt.previous != previous) {
            chain.bad_line = number;
            chain.why = opened ? "it does not name the receipt before it" : opened.error().what;
            return chain;
        }
        previous = sha256(line->text);
        chain.receipts.push_back({opened->receipt.mission, std::move(line->text)});
    }
}

}  // namespace sanctum::ledger
