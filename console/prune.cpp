// SPDX-License-Identifier: Apache-2.0
// `sanctum prune`: removes the records of missions that ended long ago. What stays: the receipt in the chain, and a
// signed line that the folder was taken away on purpose, so that `audit verify` still tells pruned from missing.
#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/runs_later/runs_later.hpp"
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/mission_file.hpp"
#include "console/missions.hpp"
#include "console/run_program.hpp"
#include "console/time_ago.hpp"
#include "ledger/printable.hpp"
#include "ledger/pruned.hpp"
#include "ledger/receipt_file.hpp"
#include "ledger/verify.hpp"
#include "profiles/schema/operator_config.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>
#include <unistd.h>

namespace sanctum::console {
namespace {

using ledger::printable;

constexpr std::string_view kRemoving = ".pruned-";  // a folder on its way out; no mission's name begins so

struct PruneRow {
    std::string mission;
    std::string action;  // pruned, would-prune, kept, failed
    std::string ended;
    std::string why;
};

void print(Console& console, const PruneRow& row, Format format) {
    if (format == Format::Words) {
        console.out << row.mission << " " << row.action << (row.why.empty() ? "" : ": " + printable(row.why)) << "\n";
        return;
    }
    wire::JsonWriter json;
    json("schema", std::string("sanctum.prune/1"));
    json("mission", row.mission);
    json("action", row.action);
    json("ended", row.ended);
    json("why", row.why);
    console.out << json.take() << "\n";
}

// The age from which missions go. Errors: InvalidProfile (no duration), Denied (below the operator's bound).
Result<std::int64_t> age_to_prune(const Console& console, const PruneOptions& options) {
    SANCTUM_TRY(const profiles::OperatorConfig config,
                profiles::load_operator_config(console.places.configuration, profiles::Missing::IsEmpty));
    if (options.older.empty()) return std::max(Milliseconds(kPruneOlderDefault).count(), config.keep_ms);
    SANCTUM_TRY(const std::int64_t age, parse_age("--older", options.older, console.clock.wall()));
    if (age < config.keep_ms) {
        return Error{Errc::Denied, console.places.configuration + ": [ledger] keep is " +
                                       profiles::format_duration(config.keep_ms) + "; --older " + options.older +
                                       " would remove more than the operator allows (nothing was removed)"};
    }
    return age;
}

// Missions that the vault is not done with. FAIL-CLOSED: without its word nothing is removed.
Result<std::set<std::string>> unfinished_missions(const Console& console) {
    const std::string program = console.places.vault();
    SANCTUM_TRY(const ProgramEnd end,
                run_program(program, {"reap", "--unfinished"}, ErrorStream::Inherited, kReapOutputBytesMax));
    if (end.code != 0) return Error{Errc::Io, program + " ended with code " + std::to_string(end.code)};
    std::set<std::string> missions;
    std::istringstream lines(end.output);
    for (std::string line; std::getline(lines, line);) missions.insert(line);
    return missions;
}

// `accept` goes by the record: without it nobody could release them any more. Empty: it could release none.
Result<std::string> words_on_held(const Places& places, const std::string& mission, const ledger::Receipt& receipt) {
    if (!receipt.held_sha256) return std::string();
    SANCTUM_TRY(const MissionFile known, read_mission_file(places.mission(mission)));
    std::vector<std::string> held;
    for (runs_later::HeldPlace& place : still_held(known, receipt)) {
        if (place.fault.empty()) held.push_back(std::move(place.original));
    }
    if (held.empty()) return std::string();
    const std::string more = held.size() == 1 ? "" : " and " + std::to_string(held.size() - 1) + " more";
    return "it holds back " + held.front() + more + " (sanctum accept " + mission +
           ", or remove what ends in .sanctum-held there)";
}

// What one run works with. The lock on pruned.jsonl (not taken by a dry run) makes runs wait for each other.
struct Pruning {
    Console& console;
    const PruneOptions& options;
    const ledger::VerifyingKey& key;
    std::string before;  // missions that ended before this moment go
    std::set<std::string> unfinished;
    std::optional<ledger::SigningKey> signing_key;
    UniqueFd pruned;
    std::uint64_t count = 0;

    // Empty: it may go.
    [[nodiscard]] Result<std::string> reason_to_keep(const ledger::ChainedReceipt& line) const {
        const std::string& id = line.mission;
        if (is_mission_alive(console.places, id)) return std::string("it is running");
        if (unfinished.contains(id)) return std::string("a credential of it may still be alive (sanctum reap)");
        SANCTUM_TRY(const ledger::Verification verified,
                    ledger::verify_mission(console.places.mission(id), id, key, {{}, &line.envelope}));
        if (verified.state == ledger::LedgerState::Sealed) {
            return words_on_held(console.places, id, verified.receipt);
        }
        return "its ledger is " + std::string(ledger::name_of(verified.state)) +
               (verified.why.empty() ? "" : " (" + verified.why + ")") + ", which somebody should look at first";
    }

    // The signed line is on disk before the folder leaves its place, and the folder leaves it in one step.
    [[nodiscard]] Status remove(const ledger::ChainedReceipt& line, const ledger::Receipt& receipt) const {
        ledger::Pruned record;
        record.mission = line.mission;
        record.pruned = format_rfc3339(console.clock.wall());
        record.receipt = sha256(line.envelope);
        record.head = receipt.head;
        SANCTUM_CHECK(ledger::append_pruned(pruned.get(), console.places.pruned(), record, *signing_key));
        const std::string folder = console.places.mission(line.mission);
        const std::string leaving = console.places.missions() + "/" + std::string(kRemoving) + line.mission;
        if (::rename(folder.c_str(), leaving.c_str()) != 0) return io_error("remove " + folder);
        std::error_code error;
        std::filesystem::remove_all(leaving, error);
        return error ? Status(io_error("remove " + leaving, error.value())) : Status();
    }

    PruneRow handle(const ledger::ChainedReceipt& line, const ledger::Receipt& receipt) {
        const Result<std::string> reason = reason_to_keep(line);
        if (!reason) return {line.mission, "failed", receipt.ended, reason.error().what};
        if (!reason->empty()) return {line.mission, "kept", receipt.ended, *reason};
        ++count;
        if (options.is_dry) return {line.mission, "would-prune", receipt.ended, "it ended " + receipt.ended};
        const Status removed = remove(line, receipt);
        if (!removed) return {line.mission, "failed", receipt.ended, removed.error().what};
        return {line.mission, "pruned", receipt.ended, "it ended " + receipt.ended + "; its receipt stays"};
    }
};

// What an interrupted run had moved away already.
void finish_earlier_runs(const Places& places) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(places.missions(), error)) {
        if (entry.path().filename().string().starts_with(kRemoving)) std::filesystem::remove_all(entry.path(), error);
    }
}

Status prepare_to_write(Pruning& pruning) {
    const Places& places = pruning.console.places;
    SANCTUM_TRY(ledger::SigningKey key, ledger::SigningKey::load_or_create(
                                            places.ledger_key(), places.ledger_public_key(), places.receipts()));
    pruning.signing_key.emplace(std::move(key));
    SANCTUM_TRY(pruning.pruned, ledger::open_envelopes(places.pruned()));
    finish_earlier_runs(places);
    return {};
}

Exit prune_all(Pruning& pruning, const ledger::ReceiptChain& chain) {
    Console& console = pruning.console;
    const Result<std::vector<std::string>> ids = list_missions(console.places);
    if (!ids) return fail(console, ids.error());
    bool has_failed = false;
    for (const ledger::ChainedReceipt& line : chain.receipts) {
        if (!std::binary_search(ids->begin(), ids->end(), line.mission)) continue;
        const Result<ledger::OpenedReceipt> opened = ledger::open_envelope(line.envelope, pruning.key);
        if (!opened) return fail(console, opened.error());
        if (opened->receipt.ended >= pruning.before) continue;
        const PruneRow row = pruning.handle(line, opened->receipt);
        has_failed = has_failed || row.action == "failed";
        print(console, row, pruning.options.format);
    }
    if (pruning.options.format == Format::Words && pruning.count == 0) console.out << "nothing to prune\n";
    return has_failed ? Exit::Failed : Exit::Ok;
}

}  // namespace

Exit run_prune(Console& console, const PruneOptions& options) {
    const Result<std::int64_t> age = age_to_prune(console, options);
    if (!age && age.error().code == Errc::InvalidProfile && !options.older.empty()) {
        return fail(console, age.error().what, Exit::Usage);
    }
    if (!age) return fail(console, age.error());
    if (::access(console.places.receipts().c_str(), F_OK) != 0) {
        if (options.format == Format::Words) console.out << "nothing to prune\n";
        return Exit::Ok;
    }
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(console.places.ledger_public_key());
    if (!key) return fail(console, key.error());
    Result<std::set<std::string>> unfinished = unfinished_missions(console);
    if (!unfinished) {
        return fail(console, "the vault does not say which credentials may be alive, so nothing was removed: " +
                                 unfinished.error().what, Exit::Unreachable);
    }
    Pruning pruning{console, options, *key, moment_before(console.clock.wall(), *age), std::move(*unfinished),
                    std::nullopt, UniqueFd(), 0};
    if (!options.is_dry) {
        if (const Status ready = prepare_to_write(pruning); !ready) return fail(console, ready.error());
    }
    const Result<ledger::ReceiptChain> chain = ledger::read_receipts(console.places.receipts(), *key);
    if (!chain) return fail(console, chain.error());
    // FAIL-CLOSED: a broken chain is evidence, and nothing that explains it may go.
    if (chain->bad_line) {
        return fail(console, "the chain of receipts is broken at line " + std::to_string(*chain->bad_line) +
                                 ", so nothing was removed (see `sanctum audit verify`)", Exit::Finding);
    }
    return prune_all(pruning, *chain);
}

}  // namespace sanctum::console
