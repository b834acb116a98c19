// SPDX-License-Identifier: Apache-2.0
// `sanctum ps`: the missions that live; with --all those that ended too.
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/live_mission.hpp"
#include "console/mission_file.hpp"
#include "console/missions.hpp"

#include <algorithm>

namespace sanctum::console {
namespace {

struct MissionRow {
    std::string mission, state, name, agent;
    std::vector<std::string> command;
    std::int64_t started_unix_ms = 0;
    std::int64_t ends_unix_ms = 0;
    std::string parent{};  ///< empty: a person started it
};

// What is known without an answer: a launcher that is just starting or is stuck still has its file.
MissionRow row_from_file(const Console& console, const std::string& id, std::string state) {
    const Result<MissionFile> file = read_mission_file(console.places.mission(id));
    if (!file) return MissionRow{id, std::move(state), "", "", {}, 0, 0};
    return MissionRow{id, std::move(state), file->name, file->agent, file->command, file->started_unix_ms,
                      file->ends_unix_ms, file->parent.value_or("")};
}

MissionRow row_of(const Console& console, const std::string& id) {
    if (!is_mission_alive(console.places, id)) return row_from_file(console, id, "ended");
    const Result<LiveMission> live = ask_to_show(console.places, id);
    if (!live) return row_from_file(console, id, "silent");
    return MissionRow{id, live->state, live->name, live->agent, live->command, live->started_unix_ms,
                      live->ends_unix_ms, live->parent.value_or("")};
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    static constexpr std::size_t kShown = 60;
    if (out.size() > kShown) out = out.substr(0, kShown) + "... (" + std::to_string(out.size()) + " bytes)";
    return out;
}

void print_json(Console& console, const MissionRow& row) {
    wire::JsonWriter json;
    json("schema", std::string("sanctum.ps/1"));
    json("mission", row.mission);
    json("state", row.state);
    json("name", row.name);
    json("agent", row.agent);
    json("command", row.command);
    json("started_unix_ms", row.started_unix_ms);
    json("ends_unix_ms", row.ends_unix_ms);
    json("parent", row.parent);
    console.out << json.take() << "\n";
}

std::string time_left(const Console& console, const MissionRow& row) {
    if (row.state == "ended" || row.ends_unix_ms == 0) return "-";
    return duration_in_words(row.ends_unix_ms - console.clock.wall().unix_ms);
}

}  // namespace

Exit run_ps(Console& console, const PsOptions& options) {
    const Result<std::vector<std::string>> ids = list_missions(console.places);
    if (!ids) return fail(console, ids.error());
    std::vector<std::vector<std::string>> rows = {{"MISSION", "STATE", "LEFT", "NAME", "AGENT", "CHILD OF", "COMMAND"}};
    for (const std::string& id : *ids) {
        if (!options.shows_all && !is_mission_alive(console.places, id)) continue;
        const MissionRow row = row_of(console, id);
        if (options.format == Format::Json) print_json(console, row);
        rows.push_back({row.mission, row.state, time_left(console, row), row.name, row.agent,
                        row.parent.empty() ? "-" : row.parent, joined(row.command)});
    }
    if (options.format == Format::Json) return Exit::Ok;
    if (rows.size() > 1) console.out << table(rows);
    else console.out << (options.shows_all ? "no missions\n" : "no mission is running (--all shows ended ones)\n");
    return Exit::Ok;
}

}  // namespace sanctum::console
