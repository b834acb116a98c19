// SPDX-License-Identifier: Apache-2.0
// `sanctum show MISSION`: a live mission's processes, places and counts; an ended one's receipt.
#include "base/wire/archive.hpp"
#include "console/absent_mission.hpp"
#include "console/commands.hpp"
#include "console/live_mission.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"
#include "ledger/verify.hpp"

namespace sanctum::console {
namespace {

using ledger::printable;

Exit show_live(Console& console, const std::string& id, Format format) {
    const Result<LiveMission> live = ask_to_show(console.places, id);
    if (!live) {
        return fail(console, "mission " + id + " lives but does not answer: " + live.error().what, Exit::Unreachable);
    }
    if (format == Format::Json) {
        const std::string text = wire::to_json(*live);
        console.out << R"({"schema":"sanctum.show/1",)" << text.substr(1) << "\n";
        return Exit::Ok;
    }
    std::string command;
    for (const std::string& word : live->command) command += (command.empty() ? "" : " ") + printable(word);
    std::ostream& out = console.out;
    out << "Mission " << id << " " << printable(live->name) << " (" << printable(live->state) << ")\n";
    if (!live->agent.empty()) out << "  agent      " << printable(live->agent) << "\n";
    if (!live->purpose.empty()) out << "  purpose    " << printable(live->purpose) << "\n";
    out << "  command    " << command << "\n  profile    " << printable(live->profile) << "\n  workspace  "
        << printable(live->workspace) << "\n  started    " << format_rfc3339(WallTime{live->started_unix_ms})
        << "\n  left       " << duration_in_words(live->ends_unix_ms - console.clock.wall().unix_ms) << "\n";
    if (live->parent && !live->parent->empty()) out << "  child of   " << printable(*live->parent) << "\n";
    for (const std::string& child : live->children.value_or(std::vector<std::string>())) {
        out << "  child      " << printable(child) << "\n";
    }
    for (const auto& [name, number] : live->counts) out << "  " << printable(name) << " " << number << "\n";
    for (const auto& [role, pid] : live->processes) out << "  process    " << printable(role) << " " << pid << "\n";
    for (const auto& [name, path] : live->paths) out << "  " << printable(name) << " " << printable(path) << "\n";
    return Exit::Ok;
}

std::uint64_t unknown_outcomes_of(const ledger::Receipt& receipt) {
    const auto found = receipt.counts.outcomes.find("unknown");
    return found == receipt.counts.outcomes.end() ? 0 : found->second;
}

Exit show_ended(Console& console, const std::string& id, Format format) {
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(console.places.ledger_public_key());
    if (!key) return fail(console, key.error());
    const Result<ledger::Verification> verified = ledger::verify_mission(console.places.mission(id), id, *key);
    if (!verified) return fail(console, verified.error());
    const std::string state(ledger::name_of(verified->state));
    const bool is_broken = verified->state == ledger::LedgerState::Broken;
    if (format == Format::Json) {
        wire::JsonWriter json;
        json("schema", std::string("sanctum.show/1"));
        json("mission", id);
        json("state", std::string("ended"));
        json("ledger", state);
        json("why", verified->why);
        json("records", verified->records);
        json("unknown_outcomes", verified->unknown_outcomes);
        json("paths", std::map<std::string, std::string>{
                          {"folder", console.places.mission(id)},
                          {"ledger", console.places.mission(id) + "/ledger.jsonl"},
                          {"receipt", console.places.mission(id) + "/receipt.json"}});
        json("processes", std::map<std::string, std::int64_t>{});
        json("receipt", verified->receipt);
        console.out << json.take() << "\n";
    } else {
        console.out << ledger::render_receipt(verified->receipt) << "State        " << state
                    << (verified->why.empty() ? "" : ": " + printable(verified->why)) << "\n";
    }
    return is_broken ? Exit::Finding : Exit::Ok;
}

// The folder is gone; the receipt in the chain stays.
Exit show_absent(Console& console, const AbsentMission& absent, Format format) {
    const ledger::Receipt& receipt = absent.receipt;
    if (format == Format::Json) {
        wire::JsonWriter json;
        json("schema", std::string("sanctum.show/1"));
        json("mission", receipt.mission);
        json("state", std::string("ended"));
        json("ledger", std::string(absent.pruned ? "pruned" : "missing"));
        json("why", absent.fate());
        json("records", receipt.head.seq + 1);
        json("unknown_outcomes", unknown_outcomes_of(receipt));
        json("paths", std::map<std::string, std::string>{{"receipts", console.places.receipts()}});
        json("processes", std::map<std::string, std::int64_t>{});
        json("receipt", receipt);
        console.out << json.take() << "\n";
    } else {
        console.out << ledger::render_receipt(receipt) << "State        " << absent.fate() << "\n";
    }
    return absent.pruned ? Exit::Ok : Exit::Finding;
}

}  // namespace

Exit run_show(Console& console, const MissionOptions& options) {
    const Result<std::string> id = find_mission(console.places, options.mission);
    if (!id && id.error().code == Errc::NotFound) {
        const Result<AbsentMission> absent = find_absent_mission(console.places, options.mission);
        if (absent) return show_absent(console, *absent, options.format);
        return fail(console, absent.error().code == Errc::NotFound ? id.error() : absent.error());
    }
    if (!id) return fail(console, id.error());
    return is_mission_alive(console.places, *id) ? show_live(console, *id, options.format)
                                                 : show_ended(console, *id, options.format);
}

}  // namespace sanctum::console
