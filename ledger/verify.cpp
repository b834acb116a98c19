// SPDX-License-Identifier: Apache-2.0
#include "ledger/verify.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "ledger/receipt_file.hpp"

namespace sanctum::ledger {
namespace {

void call_broken(Verification& out, std::optional<std::uint64_t> record, std::string why) {
    out.state = LedgerState::Broken;
    out.bad_record = record;
    out.why = std::move(why);
}

void call_unsealed(Verification& out, std::string why) {
    out.state = LedgerState::Unsealed;
    out.why = std::move(why);
}

// The envelope that belongs to this mission: receipt.json, or the machine's chain when the file is not there.
struct FoundReceipt {
    std::optional<std::string> envelope;
    bool has_own_file = false;
};

Result<FoundReceipt> find_receipt(const std::string& mission_folder, const VerifyOptions& options) {
    FoundReceipt out;
    Result<std::string> file = read_file(mission_folder + "/receipt.json", kReceiptBytesMax);
    if (file) {
        out.has_own_file = true;
        out.envelope = std::move(*file);
    } else if (file.error().code != Errc::NotFound) {
        return std::move(file).error();
    } else if (options.published_receipt != nullptr) {
        out.envelope = *options.published_receipt + "\n";
    }
    return out;
}

// The ledger ends before the witness was told of its last head; a receipt that waited for that counts one head more.
bool counts_last_head(const std::optional<WitnessCount>& ended, const std::optional<WitnessCount>& receipt) {
    return ended && receipt && receipt->of == ended->of + 1 && receipt->told >= ended->told &&
           receipt->told <= receipt->of;
}

// A receipt exists: ledger and receipt must say the same, to the byte.
void judge_receipt(Verification& out, const Walk& walk, const FoundReceipt& found, const VerifyingKey& key,
                   const VerifyOptions& options) {
    const std::string& file = *found.envelope;
    const bool is_one_line = file.ends_with('\n') && file.find('\n') == file.size() - 1;
    if (!is_one_line) return call_broken(out, {}, "receipt.json is not one line");
    const std::string_view envelope = std::string_view(file).substr(0, file.size() - 1);
    if (options.published_receipt != nullptr && *options.published_receipt != envelope) {
        return call_broken(out, {}, "receipt.json is not the receipt in receipts.jsonl");
    }
    const Result<OpenedReceipt> opened = open_envelope(envelope, key);
    if (!opened) return call_broken(out, {}, opened.error().what);
    const std::uint64_t records = opened->receipt.head.seq + 1;
    if (walk.records < records) {
        return call_broken(out, walk.records, std::to_string(records - walk.records) +
                                                  " record(s) at the end are missing that the receipt names");
    }
    if (walk.records > records) return call_broken(out, records, "it stands behind the receipt's head");
    if (walk.torn_bytes > 0) return call_broken(out, walk.records, "bytes stand behind the receipt's head");
    if (walk.head != opened->receipt.head.hash) {
        return call_broken(out, walk.records - 1, "its bytes are not those that the receipt names");
    }
    Receipt expected = in_schema(out.receipt, opened->receipt.schema);
    expected.previous = opened->receipt.previous;
    if (counts_last_head(expected.witness, opened->receipt.witness)) expected.witness = opened->receipt.witness;
    if (wire::to_json(expected) != opened->payload) {
        return call_broken(out, {}, "the receipt says something else than the ledger");
    }
    out.receipt = opened->receipt;
    out.state = LedgerState::Sealed;
    if (!found.has_own_file) call_unsealed(out, "receipt.json is missing (sanctum reap restores it)");
}

void judge_without_receipt(Verification& out, const Walk& walk, bool is_alive) {
    if (is_alive) {
        out.state = LedgerState::Open;
        return;
    }
    if (walk.torn_bytes > 0) {
        return call_unsealed(out, "the last line is torn (" + std::to_string(walk.torn_bytes) +
                                      " bytes), as a crash leaves it; sanctum reap completes the ledger");
    }
    call_unsealed(out, walk.is_ended ? "the receipt is missing (sanctum reap writes it)"
                                     : "the mission has no end (sanctum reap completes the ledger)");
}

}  // namespace

std::string_view name_of(LedgerState state) {
    switch (state) {
        case LedgerState::Open: return "open";
        case LedgerState::Sealed: return "sealed";
        case LedgerState::Unsealed: return "unsealed";
        case LedgerState::Broken: return "broken";
    }
    return "broken";
}

Result<Verification> verify_mission(const std::string& mission_folder, const std::string& mission,
                                    const VerifyingKey& key, const VerifyOptions& options) {
    // Asked first: a mission that ends while we read is reported as open, not as unsealed.
    SANCTUM_TRY(const bool alive, is_alive(mission_folder));
    SANCTUM_TRY(const UniqueFd fd, open_ledger(mission_folder));
    bool has_known_head = !options.at_least.has_value();
    const Visit visit = [&](const ReadRecord& record, const wire::Digest& hash) {
        if (options.at_least && record.seq == options.at_least->seq) has_known_head = hash == options.at_least->hash;
    };
    SANCTUM_TRY(const Walk walk, walk_ledger(fd.get(), mission, key, visit));
    Verification out;
    out.records = walk.records;
    out.torn_bytes = walk.torn_bytes;
    out.head = walk.head;
    out.receipt = walk.receipt.build();
    const auto unknown = out.receipt.counts.outcomes.find("unknown");
    out.unknown_outcomes = unknown == out.receipt.counts.outcomes.end() ? 0 : unknown->second;
    out.receipt.head = {walk.records == 0 ? 0 : walk.records - 1, walk.head};
    if (walk.bad) {
        call_broken(out, walk.bad->record, walk.bad->why);
        return out;
    }
    if (!has_known_head) {
        call_broken(out, options.at_least->seq, "the head that was kept elsewhere is not in this ledger");
        return out;
    }
    SANCTUM_TRY(const FoundReceipt receipt, find_receipt(mission_folder, options));
    if (receipt.envelope) judge_receipt(out, walk, receipt, key, options);
    else judge_without_receipt(out, walk, alive);
    return out;
}

}  // namespace sanctum::ledger
