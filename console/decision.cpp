// SPDX-License-Identifier: Apache-2.0
#include "console/decision.hpp"

#include "base/mission_id.hpp"
#include "console/absent_mission.hpp"
#include "console/load_mission.hpp"
#include "console/mission_file.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"
#include "ledger/read_ledger.hpp"
#include "profiles/policy/decide.hpp"

#include <charconv>

namespace sanctum::console {
namespace {

using ledger::ReadRecord;
using ledger::printable;

struct DecisionId {
    std::string mission;  ///< or `last`
    std::uint64_t exchange = 0;
};

std::optional<DecisionId> parse_id(std::string_view text) {
    const std::size_t dash = text.find("-e");
    if (dash == std::string_view::npos) return std::nullopt;
    DecisionId id{std::string(text.substr(0, dash)), 0};
    if (id.mission != "last" && !is_ulid(id.mission)) return std::nullopt;
    const std::string_view digits = text.substr(dash + 2);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), id.exchange);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || id.exchange == 0) return {};
    return id;
}

// Everything the ledger has on one exchange.
struct Found {
    std::optional<ReadRecord> refused;
    std::optional<ReadRecord> intent;
    std::optional<ReadRecord> outcome;
    std::optional<ReadRecord> opened;  // its connection
};

bool stands_for(const ledger::Refusals& record, std::uint64_t exchange) {
    if (record.refused.exchange == exchange) return true;
    return record.repeated > 1 && record.refused.exchange <= exchange && exchange <= record.last_exchange;
}

// True for a record of the exchange, which is then kept.
bool keep(Found& found, const ReadRecord& read, std::uint64_t exchange) {
    std::optional<ReadRecord>* place = nullptr;
    if (const auto* refusals = std::get_if<ledger::Refusals>(&read.record)) {
        if (stands_for(*refusals, exchange)) place = &found.refused;
    } else if (const auto* intent = std::get_if<wire::ExchangeIntent>(&read.record)) {
        if (intent->exchange == exchange) place = &found.intent;
    } else if (const auto* outcome = std::get_if<wire::ExchangeOutcome>(&read.record)) {
        if (outcome->exchange == exchange) place = &found.outcome;
    }
    if (place != nullptr && !place->has_value()) *place = read;
    return place != nullptr;
}

std::uint64_t connection_of(const Found& found) {
    if (found.refused) return std::get<ledger::Refusals>(found.refused->record).refused.connection;
    return found.intent ? std::get<wire::ExchangeIntent>(found.intent->record).connection : 0;
}

// Two passes: the connection is opened long before the exchange that names it, and memory stays bounded.
Result<Found> search(const std::string& folder, std::uint64_t exchange) {
    Found found;
    SANCTUM_CHECK(ledger::for_each_record(folder, [&](const ReadRecord& read, const std::string&) {
        keep(found, read, exchange);
        return !found.outcome.has_value();
    }));
    const std::uint64_t connection = connection_of(found);
    if (connection == 0) return found;
    SANCTUM_CHECK(ledger::for_each_record(folder, [&](const ReadRecord& read, const std::string&) {
        const auto* opened = std::get_if<ledger::ConnectionRecord>(&read.record);
        if (opened != nullptr && opened->connection == connection) found.opened = read;
        return !found.opened.has_value();
    }));
    return found;
}

void line(Console& console, std::string_view label, std::string_view words) {
    if (!words.empty()) console.out << "  " << label << ": " << printable(words) << "\n";
}

// The profile's line that decides such a request today, when the profile is still the one of the mission.
std::string place_of(const Console& console, const std::string& folder, const wire::ExchangeRefused& refused) {
    const Result<MissionFile> mission = read_mission_file(folder);
    if (!mission) return {};
    const Result<LoadedMission> loaded = load_mission(console, mission->profile_path);
    if (!loaded || loaded->file.sha256 != mission->profile_sha256) return {};
    profiles::Request request;
    request.method = refused.method;
    request.host = refused.host;
    request.path = refused.path;
    const profiles::Operation operation = profiles::classify(loaded->mission, loaded->catalog, request);
    const profiles::Spent nothing(loaded->mission.budgets.size(), 0);
    const profiles::Decision again = profiles::decide(loaded->mission, request, operation, nothing);
    return again.reason == refused.reason && again.rule == refused.rule ? again.place : std::string();
}

void print_refused(Console& console, const std::string& folder, const ReadRecord& read) {
    const auto& record = std::get<ledger::Refusals>(read.record);
    const wire::ExchangeRefused& refused = record.refused;
    console.out << "refused: " << printable(refused.reason) << " (status " << refused.status;
    if (refused.sent_status != 0) console.out << ", told in git's words with " << refused.sent_status;
    console.out << ")\n";
    line(console, "when", format_rfc3339(WallTime{read.unix_ms}));
    line(console, "request", refused.method + " " + refused.host + refused.path);
    line(console, "service", refused.service);
    line(console, "operation", refused.operation);
    line(console, "rule", refused.rule);
    line(console, "place", place_of(console, folder, refused));
    line(console, "detail", refused.detail);
    if (record.repeated > 1) {
        line(console, "counted", std::to_string(record.repeated) + " equal refusals share this record");
    }
}

void print_allowed(Console& console, const Found& found) {
    const auto& intent = std::get<wire::ExchangeIntent>(found.intent->record);
    console.out << printable(intent.verdict) << "\n";
    line(console, "when", format_rfc3339(WallTime{found.intent->unix_ms}));
    line(console, "request", intent.method + " " + intent.host + intent.path);
    line(console, "service", intent.service);
    line(console, "operation", intent.operation);
    line(console, "rule", intent.rule);
    line(console, "risk", intent.risk);
    line(console, "credential", intent.lease);
    if (!found.outcome) {
        line(console, "outcome", "unknown");
        return;
    }
    const auto& outcome = std::get<wire::ExchangeOutcome>(found.outcome->record);
    line(console, "outcome", outcome.outcome + ", status " + std::to_string(outcome.status));
}

void print_asker(Console& console, const Found& found) {
    if (!found.opened) return;
    const auto& opened = std::get<ledger::ConnectionRecord>(found.opened->record);
    if (!opened.process) return;
    std::string chain;
    for (const std::string& name : opened.process->chain) chain += " < " + name;
    line(console, "asked by (as the process says)",
         opened.process->exe + " (pid " + std::to_string(opened.process->pid) + ")" + chain);
}

// The records themselves are JSON already; they are written again from what was read.
void print_json(Console& console, const std::string& id, const Found& found) {
    console.out << R"({"schema":"sanctum.decision/1","decision":")" << id << R"(","records":[)";
    const char* between = "";
    for (const std::optional<ReadRecord>* read : {&found.opened, &found.intent, &found.refused, &found.outcome}) {
        if (!read->has_value()) continue;
        std::string text;
        ledger::append_line(text, {(*read)->seq, (*read)->unix_ms, (*read)->mission, (*read)->prev}, (*read)->record);
        console.out << between << text;
        between = ",";
    }
    console.out << "]}\n";
}

}  // namespace

bool is_decision_id(std::string_view text) { return parse_id(text).has_value(); }

Exit explain_decision(Console& console, const std::string& text, Format format) {
    DecisionId id = *parse_id(text);
    Result<std::string> mission = find_mission(console.places, id.mission);
    if (!mission) return fail(console, error_of_absent(console.places, id.mission, std::move(mission).error()));
    id.mission = std::move(*mission);
    const std::string folder = console.places.mission(id.mission);
    const Result<Found> found = search(folder, id.exchange);
    if (!found) return fail(console, found.error());
    if (!found->refused && !found->intent) {
        return fail(console, "mission " + id.mission + " has no exchange e" + std::to_string(id.exchange));
    }
    if (format == Format::Json) {
        print_json(console, id.mission + "-e" + std::to_string(id.exchange), *found);
        return Exit::Ok;
    }
    if (found->refused) print_refused(console, folder, *found->refused);
    else print_allowed(console, *found);
    print_asker(console, *found);
    line(console, "mission", id.mission + " (sanctum audit show " + id.mission + " prints every record)");
    return Exit::Ok;
}

}  // namespace sanctum::console
