// SPDX-License-Identifier: Apache-2.0
// `sanctum audit verify`: checks ledgers and receipts with nothing but the files and the public key. Without a mission
// it checks all of this machine, and that none disappeared from the chain of receipts.
#include "base/wire/archive.hpp"
#include "console/absent_mission.hpp"
#include "console/commands.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"
#include "ledger/pruned.hpp"
#include "ledger/receipt_file.hpp"
#include "ledger/verify.hpp"

#include <algorithm>
#include <charconv>
#include <unistd.h>

namespace sanctum::console {
namespace {

using ledger::LedgerState;
using ledger::printable;

std::optional<ledger::KnownHead> parse_head(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    ledger::KnownHead head;
    const auto parsed = std::from_chars(text.data(), text.data() + colon, head.seq);
    const std::optional<std::string> bytes = wire::from_hex(text.substr(colon + 1));
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + colon || !bytes || bytes->size() != head.hash.size()) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < head.hash.size(); ++i) head.hash[i] = static_cast<std::uint8_t>((*bytes)[i]);
    return head;
}

struct MissionVerdict {
    std::string mission;
    std::string state;
    std::string why;
    std::uint64_t records = 0;
    std::optional<std::uint64_t> bad_record;
    std::uint64_t unknown_outcomes = 0;
    std::string head;
};

void print(Console& console, const MissionVerdict& verdict, Format format) {
    if (format == Format::Json) {
        wire::JsonWriter json;
        json("schema", std::string("sanctum.audit.verify/1"));
        json("mission", verdict.mission);
        json("state", verdict.state);
        json("records", verdict.records);
        json("bad_record", verdict.bad_record);
        json("why", verdict.why);
        json("unknown_outcomes", verdict.unknown_outcomes);
        json("head", verdict.head);
        console.out << json.take() << "\n";
        return;
    }
    console.out << verdict.mission << " " << verdict.state;
    if (verdict.bad_record) console.out << " at record " << *verdict.bad_record;
    if (!verdict.why.empty()) console.out << ": " << printable(verdict.why);
    if (verdict.state != "broken" && verdict.state != "missing") console.out << ", " << verdict.records << " records";
    if (verdict.unknown_outcomes > 0 && verdict.state != "open") {
        console.out << ", " << verdict.unknown_outcomes << " request(s) with unknown outcome";
    }
    if (!verdict.head.empty()) console.out << ", head " << verdict.head;
    console.out << "\n";
}

MissionVerdict verdict_of(const std::string& id, const ledger::Verification& verified) {
    MissionVerdict out{id, std::string(ledger::name_of(verified.state)), verified.why, verified.records,
                       verified.bad_record, verified.unknown_outcomes, {}};
    if (verified.state != LedgerState::Broken && verified.records > 0) {
        out.head = std::to_string(verified.records - 1) + ":" + wire::to_hex(verified.head);
    }
    return out;
}

bool is_finding(const MissionVerdict& verdict) {
    return verdict.state != "sealed" && verdict.state != "open" && verdict.state != "pruned";
}

// A machine on which nothing ever ran.
bool has_no_traces(const Places& places) {
    const Result<std::vector<std::string>> ids = list_missions(places);
    return ids && ids->empty() && ::access(places.receipts().c_str(), F_OK) != 0;
}

struct Checker {
    Console& console;
    const ledger::VerifyingKey& key;
    const ledger::ReceiptChain& chain;
    const ledger::PrunedMissions& pruned;
    Format format;
    std::optional<ledger::KnownHead> at_least;
    bool has_findings = false;
    bool has_reported = false;

    Status check(const std::string& id) {
        const ledger::VerifyOptions options{at_least, chain.find(id)};
        const auto verified = ledger::verify_mission(console.places.mission(id), id, key, options);
        if (!verified && verified.error().code == Errc::NotFound) {
            report({id, "missing", "it has no ledger", 0, {}, 0, {}});
            return {};
        }
        if (!verified) return verified.error();
        MissionVerdict verdict = verdict_of(id, *verified);
        // A receipt goes into the chain before it goes into its folder: what is sealed and not in it was taken out.
        if (verified->state == LedgerState::Sealed && !chain.find(id)) {
            verdict.state = ledger::name_of(LedgerState::Unsealed);
            verdict.why = "its receipt is missing from receipts.jsonl (put back a copy of that file)";
        }
        report(verdict);
        return {};
    }

    void report(const MissionVerdict& verdict) {
        has_reported = true;
        has_findings = has_findings || is_finding(verdict);
        print(console, verdict, format);
    }

    // A mission with a receipt and no folder: taken away on purpose, as a signed line says, or missing.
    [[nodiscard]] MissionVerdict verdict_of_absent(const ledger::ChainedReceipt& receipt) const {
        if (const ledger::Pruned* line = pruned.find(receipt.mission, receipt.envelope)) {
            return {receipt.mission, "pruned", "on " + line->pruned + ", its receipt is in the chain",
                    line->head.seq + 1, {}, 0, std::to_string(line->head.seq) + ":" + wire::to_hex(line->head.hash)};
        }
        return {receipt.mission, "missing", "its receipt is in the chain, its folder is gone", 0, {}, 0, {}};
    }

    // The mission that a word means and that has no folder. Errors: NotFound (no receipt either), those of the chain.
    Status check_absent(const std::string& word) {
        SANCTUM_TRY(const AbsentMission absent, find_absent_mission(console.places, word));
        const std::string* envelope = chain.find(absent.receipt.mission);
        if (envelope == nullptr) return Error{Errc::NotFound, "no receipt of mission " + absent.receipt.mission};
        MissionVerdict verdict = verdict_of_absent({absent.receipt.mission, *envelope});
        // Of what is gone only the last record's hash is left: a head of before that can no longer be compared.
        const ledger::ReceiptHead& head = absent.receipt.head;
        const bool is_head = at_least && at_least->seq == head.seq && at_least->hash == head.hash;
        if (at_least && !is_head) {
            const bool is_before = at_least->seq < head.seq;
            verdict.state = is_before ? "missing" : "broken";
            verdict.bad_record = at_least->seq;
            verdict.why = is_before ? "its records are gone, so the head that was kept elsewhere cannot be compared"
                                    : "the head that was kept elsewhere is not that of its receipt";
        }
        report(verdict);
        return {};
    }

    // The machine's chain: damaged lines, and missions without a folder.
    void check_chain(const std::vector<std::string>& ids) {
        if (chain.bad_line) {
            report({"receipts.jsonl", "broken", "line " + std::to_string(*chain.bad_line) + ": " + chain.why, 0, {}, 0,
                    {}});
        }
        if (pruned.bad_line) {
            report({"pruned.jsonl", "broken", "line " + std::to_string(*pruned.bad_line) + ": " + pruned.why, 0, {}, 0,
                    {}});
        }
        for (const ledger::ChainedReceipt& receipt : chain.receipts) {
            if (!std::binary_search(ids.begin(), ids.end(), receipt.mission)) report(verdict_of_absent(receipt));
        }
    }
};

}  // namespace

Exit run_audit_verify(Console& console, const AuditVerifyOptions& options) {
    std::optional<ledger::KnownHead> at_least;
    if (!options.at_least.empty()) {
        at_least = parse_head(options.at_least);
        if (!at_least || options.missions.size() != 1) {
            return fail(console, "--at-least takes SEQ:HASH, as verify prints it, and one mission", Exit::Usage);
        }
    }
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(console.places.ledger_public_key());
    if (!key && key.error().code == Errc::NotFound && options.missions.empty() && has_no_traces(console.places)) {
        if (options.format == Format::Words) console.out << "no missions\n";
        return Exit::Ok;
    }
    if (!key) {
        return fail(console, key.error().what + " (made with the first mission; without it nothing can be checked)");
    }
    const Result<ledger::ReceiptChain> chain = ledger::read_receipts(console.places.receipts(), *key);
    if (!chain) return fail(console, chain.error());
    const Result<ledger::PrunedMissions> pruned = ledger::read_pruned(console.places.pruned(), *key);
    if (!pruned) return fail(console, pruned.error());
    Checker checker{console, *key, *chain, *pruned, options.format, at_least};
    std::vector<std::string> ids;
    for (const std::string& word : options.missions) {
        const Result<std::string> id = find_mission(console.places, word);
        if (id) {
            ids.push_back(*id);
            continue;
        }
        if (id.error().code != Errc::NotFound) return fail(console, id.error());
        const Status absent = checker.check_absent(word);
        if (absent) continue;
        return fail(console, absent.error().code == Errc::NotFound ? id.error() : absent.error());
    }
    if (options.missions.empty()) {
        Result<std::vector<std::string>> all = list_missions(console.places);
        if (!all) return fail(console, all.error());
        ids = std::move(*all);
        checker.check_chain(ids);
    }
    for (const std::string& id : ids) {
        const Status checked = checker.check(id);
        if (!checked) return fail(console, checked.error());
    }
    if (!checker.has_reported && options.format == Format::Words) console.out << "no missions\n";
    return checker.has_findings ? Exit::Finding : Exit::Ok;
}

}  // namespace sanctum::console
