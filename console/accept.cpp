// SPDX-License-Identifier: Apache-2.0
// `sanctum accept MISSION`: releases the files that a mission left for somebody to run later and that were held back.
#include "base/runs_later/runs_later.hpp"
#include "base/wire/archive.hpp"
#include "console/absent_mission.hpp"
#include "console/commands.hpp"
#include "console/mission_file.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"
#include "ledger/verify.hpp"

namespace sanctum::console {
namespace {

using ledger::printable;

// What is still held where this mission's ledger says so; a broken one decides nothing.
Result<std::vector<runs_later::HeldPlace>> held_places(const Console& console, const std::string& id) {
    const std::string folder = console.places.mission(id);
    // What a newer Sanctum held back, and how, is not ours to judge.
    SANCTUM_TRY(const MissionFile known, read_mission_file(folder));
    SANCTUM_TRY(const ledger::VerifyingKey key, ledger::VerifyingKey::load(console.places.ledger_public_key()));
    SANCTUM_TRY(const ledger::Verification verified, ledger::verify_mission(folder, id, key));
    if (verified.state == ledger::LedgerState::Broken) {
        return Error{Errc::Denied, "the ledger of " + id + " is broken: " + verified.why};
    }
    return still_held(known, verified.receipt);
}

struct Accepted {
    std::vector<std::string> files;
    std::vector<std::string> failures;
};

// All were looked at before the first is released: a link may lead to another of them.
Accepted accept_all(const std::vector<runs_later::HeldPlace>& places, bool is_dry) {
    Accepted out;
    for (const runs_later::HeldPlace& place : places) {
        // SECURITY: the name alone says nothing; a later mission may have left another file there.
        if (!place.fault.empty()) {
            out.failures.push_back(place.fault);
            continue;
        }
        const Status accepted = is_dry ? Status() : runs_later::accept(place.original);
        if (accepted) out.files.push_back(place.original);
        else out.failures.push_back(accepted.error().what);
    }
    return out;
}

}  // namespace

Exit run_accept(Console& console, const AcceptOptions& options) {
    const Result<std::string> id = find_mission(console.places, options.mission);
    if (!id) return fail(console, error_of_absent(console.places, options.mission, id.error()));
    if (is_mission_alive(console.places, *id)) return fail(console, "mission " + *id + " is still running");
    const Result<std::vector<runs_later::HeldPlace>> places = held_places(console, *id);
    if (!places) return fail(console, places.error());
    const Accepted accepted = accept_all(*places, options.is_dry);
    if (options.format == Format::Json) {
        wire::JsonWriter json;
        json("schema", std::string("sanctum.accept/1"));
        json("mission", *id);
        json("accepted", accepted.files);
        json("failures", accepted.failures);
        json("dry_run", options.is_dry);
        console.out << json.take() << "\n";
    } else {
        for (const std::string& file : accepted.files) {
            console.out << (options.is_dry ? "would release " : "released ") << printable(file) << "\n";
        }
        if (places->empty()) console.out << "nothing of mission " << *id << " is held back\n";
    }
    for (const std::string& failure : accepted.failures) fail(console, printable(failure));
    return accepted.failures.empty() ? Exit::Ok : Exit::Failed;
}

}  // namespace sanctum::console
