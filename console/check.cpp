// SPDX-License-Identifier: Apache-2.0
// `sanctum check FILE`: is the profile right, how far is it trusted, and what could a hostile agent do with it.
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/load_mission.hpp"
#include "ledger/printable.hpp"
#include "profiles/schema/values.hpp"

namespace sanctum::console {
namespace {

using profiles::Verdict;

bool waits_for_a_human(Verdict verdict) { return verdict == Verdict::Ask || verdict == Verdict::StepUp; }

// What is right but will surprise.
std::vector<std::string> notes_on(const LoadedMission& loaded, profiles::Trust trust, const std::string& home) {
    std::vector<std::string> notes;
    const std::string& workspace = loaded.mission.sandbox.workspace;
    if (const auto wide = profiles::too_wide(workspace, home)) {
        notes.push_back("it cannot run from this folder: workspace " + workspace + " " + wide->why + " (" +
                        wide->remedy + ")");
    }
    const profiles::ApprovalPolicy& approval = loaded.mission.approval;
    std::string risks;
    const std::pair<const char*, Verdict> rows[] = {
        {"low", approval.low}, {"medium", approval.medium}, {"high", approval.high}, {"critical", approval.critical}};
    for (const auto& [risk, verdict] : rows) {
        if (waits_for_a_human(verdict)) risks += (risks.empty() ? "" : ", ") + std::string(risk);
    }
    if (!risks.empty()) {
        notes.push_back("requests of risk " + risks +
                        " need a human; no approver channel exists, so they are refused (approval_unavailable)");
    }
    for (const profiles::Rule& rule : loaded.mission.rules) {
        if (waits_for_a_human(rule.verdict)) {
            notes.push_back(rule.place + ": what this rule asks about is refused (approval_unavailable)");
        }
    }
    if (trust == profiles::Trust::Unknown || trust == profiles::Trust::Changed) {
        notes.push_back("it does nothing until it is trusted: sanctum trust " + loaded.file.path);
    }
    return notes;
}

Exit list_names(Console& console, Format format) {
    const Result<std::map<std::string, std::string>> names = profiles::named_profiles(console.places);
    if (!names) return fail(console, names.error());
    for (const auto& [name, path] : *names) {
        if (format == Format::Words) {
            console.out << ledger::printable(name) << "\n";
            continue;
        }
        wire::JsonWriter json;
        json("schema", std::string("sanctum.check.list/1"));
        json("name", name);
        json("path", path);
        console.out << json.take() << "\n";
    }
    return Exit::Ok;
}

}  // namespace

Exit run_check(Console& console, const CheckOptions& options) {
    if (options.lists) return list_names(console, options.format);
    const Result<LoadedMission> loaded = load_mission(console, options.file);
    wire::JsonWriter json;
    json("schema", std::string("sanctum.check/1"));
    if (!loaded) {
        if (options.format == Format::Words || loaded.error().code != Errc::InvalidProfile) {
            return fail(console, loaded.error());
        }
        json("ok", false);
        json("errors", loaded.error().what);
        console.out << json.take() << "\n";
        return Exit::Finding;
    }
    const Result<profiles::Trust> trust = profiles::trust_of(loaded->file, console.places);
    if (!trust) return fail(console, trust.error());
    const std::vector<std::string> notes = notes_on(*loaded, *trust, console.variable("HOME"));
    const std::string exposure = profiles::exposure_line(loaded->mission, loaded->catalog);
    if (options.format == Format::Json) {
        json("ok", true);
        json("file", loaded->file.path);
        json("sha256", loaded->file.sha256);
        json("trust", trust_in_words(*trust));
        json("exposure", exposure);
        json("notes", notes);
        console.out << json.take() << "\n";
        return Exit::Ok;
    }
    console.out << ledger::printable(loaded->file.path) << ": no mistakes (" << trust_in_words(*trust) << ")\n"
                << exposure << (exposure.ends_with('\n') ? "" : "\n");
    for (const std::string& note : notes) console.out << "note: " << ledger::printable(note) << "\n";
    return Exit::Ok;
}

}  // namespace sanctum::console
