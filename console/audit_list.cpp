// SPDX-License-Identifier: Apache-2.0
// `sanctum audit list`: the missions of this machine, one row each. Ended ones are read from the signed chain of
// receipts, so that pruned ones stay listed; the others from their mission.json.
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/mission_file.hpp"
#include "console/missions.hpp"
#include "console/time_ago.hpp"
#include "ledger/pruned.hpp"
#include "ledger/receipt_file.hpp"

#include <algorithm>
#include <unistd.h>

namespace sanctum::console {
namespace {

struct AuditRow {
    std::string mission;
    std::string state;  // open, unsealed, sealed, pruned, missing
    std::string started, ended, end, agent, name, purpose;
    std::uint64_t allowed = 0;
    std::uint64_t refused = 0;
    bool is_known = true;  // false: neither a receipt nor a mission.json says more than its state
};

// What the rows are made from.
struct Sources {
    std::vector<std::string> ids;  // of mission folders
    ledger::ReceiptChain chain;
    ledger::PrunedMissions pruned;
};

Result<Sources> read_sources(const Places& places) {
    Sources sources;
    SANCTUM_TRY(sources.ids, list_missions(places));
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(places.ledger_public_key());
    const bool has_receipts = ::access(places.receipts().c_str(), F_OK) == 0;
    if (!key && key.error().code == Errc::NotFound && !has_receipts) return sources;
    if (!key) return key.error();
    SANCTUM_TRY(sources.chain, ledger::read_receipts(places.receipts(), *key));
    SANCTUM_TRY(sources.pruned, ledger::read_pruned(places.pruned(), *key));
    return sources;
}

AuditRow row_of(const ledger::Receipt& receipt, std::string state) {
    AuditRow row{receipt.mission, std::move(state), receipt.started, receipt.ended, receipt.end.reason,
            receipt.agent,   receipt.name,     receipt.purpose, 0,             0, true};
    if (const auto found = receipt.counts.verdicts.find("allow"); found != receipt.counts.verdicts.end()) {
        row.allowed = found->second;
    }
    for (const auto& [reason, count] : receipt.counts.refused) row.refused += count;
    return row;
}

AuditRow row_of(const Places& places, const std::string& id) {
    AuditRow row{id, is_mission_alive(places, id) ? "open" : "unsealed", "", "", "", "", "", "", 0, 0, true};
    const Result<MissionFile> file = read_mission_file(places.mission(id));
    row.is_known = file.has_value();
    if (!file) return row;  // it died before its file was written, or a newer Sanctum wrote it
    row.started = format_rfc3339(WallTime{file->started_unix_ms});
    row.agent = file->agent;
    row.name = file->name;
    row.purpose = file->purpose;
    return row;
}

Result<std::vector<AuditRow>> rows_of(const Places& places, const Sources& sources) {
    std::vector<AuditRow> rows;
    std::vector<std::string> sealed;
    if (!sources.chain.receipts.empty()) {
        SANCTUM_TRY(const ledger::VerifyingKey key, ledger::VerifyingKey::load(places.ledger_public_key()));
        for (const ledger::ChainedReceipt& line : sources.chain.receipts) {
            SANCTUM_TRY(const ledger::OpenedReceipt opened, ledger::open_envelope(line.envelope, key));
            const bool is_there = std::binary_search(sources.ids.begin(), sources.ids.end(), line.mission);
            const bool is_pruned = sources.pruned.find(line.mission, line.envelope) != nullptr;
            rows.push_back(row_of(opened.receipt, is_there ? "sealed" : is_pruned ? "pruned" : "missing"));
            sealed.push_back(line.mission);
        }
    }
    std::sort(sealed.begin(), sealed.end());
    for (const std::string& id : sources.ids) {
        if (!std::binary_search(sealed.begin(), sealed.end(), id)) rows.push_back(row_of(places, id));
    }
    std::sort(rows.begin(), rows.end(), [](const AuditRow& a, const AuditRow& b) { return a.mission < b.mission; });
    return rows;
}

void print_json(Console& console, const AuditRow& row) {
    wire::JsonWriter json;
    json("schema", std::string("sanctum.audit.list/1"));
    json("mission", row.mission);
    json("state", row.state);
    json("started", row.started);
    json("ended", row.ended);
    json("end", row.end);
    json("agent", row.agent);
    json("name", row.name);
    json("purpose", row.purpose);
    json("allowed", row.allowed);
    json("refused", row.refused);
    console.out << json.take() << "\n";
}

void print(Console& console, const std::vector<AuditRow>& rows, Format format) {
    if (format == Format::Json) {
        for (const AuditRow& row : rows) print_json(console, row);
        return;
    }
    if (rows.empty()) {
        console.out << "no missions\n";
        return;
    }
    std::vector<std::vector<std::string>> cells = {
        {"STARTED", "MISSION", "STATE", "END", "ALLOWED", "REFUSED", "AGENT", "NAME"}};
    for (const AuditRow& row : rows) {
        cells.push_back({row.started.empty() ? "-" : row.started, row.mission, row.state,
                         row.end.empty() ? "-" : row.end, std::to_string(row.allowed), std::to_string(row.refused),
                         row.agent.empty() ? "-" : row.agent, row.name});
    }
    console.out << table(cells);
}

}  // namespace

Exit run_audit_list(Console& console, const AuditListOptions& options) {
    std::string from;  // RFC 3339 of one form orders as text
    if (!options.since.empty()) {
        const Result<std::int64_t> age = parse_age("--since", options.since, console.clock.wall());
        if (!age) return fail(console, age.error().what, Exit::Usage);
        from = moment_before(console.clock.wall(), *age);
    }
    const Result<Sources> sources = read_sources(console.places);
    if (!sources) return fail(console, sources.error());
    Result<std::vector<AuditRow>> rows = rows_of(console.places, *sources);
    if (!rows) return fail(console, rows.error());
    std::erase_if(*rows, [&](const AuditRow& row) {
        // A mission of which neither start nor agent is known is shown: nothing may hide behind a filter.
        if (!row.is_known) return false;
        const bool is_earlier = !row.started.empty() && row.started < from;
        return is_earlier || (!options.agent.empty() && row.agent != options.agent);
    });
    print(console, *rows, options.format);
    if (sources->chain.bad_line) {
        return fail(console, "the chain of receipts is broken at line " + std::to_string(*sources->chain.bad_line) +
                                 ", ended missions behind it are not listed (see `sanctum audit verify`)",
                    Exit::Finding);
    }
    return Exit::Ok;
}

}  // namespace sanctum::console
