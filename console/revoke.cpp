// SPDX-License-Identifier: Apache-2.0
// `sanctum revoke`: ends missions now and waits until each is over, its leases given back and its ledger sealed; or
// takes one service back from missions that go on.
#include "base/limits.hpp"
#include "console/absent_mission.hpp"
#include "console/commands.hpp"
#include "console/control_client.hpp"
#include "console/live_mission.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"

#include <algorithm>

namespace sanctum::console {
namespace {

Exit revoke_one(Console& console, const std::string& id, std::int64_t timeout_ms) {
    Result<ControlClient> client = ControlClient::connect(console.places.control_socket(id));
    if (!client) return fail(console, "mission " + id + ": " + client.error().what, Exit::Unreachable);
    const Result<std::string> answer = client->ask(R"({"v":1,"request":"revoke"})", kControlAnswerTimeout);
    // A mission that ends by itself in this moment is what was asked for.
    if (!answer && answer.error().code != Errc::Cancelled) {
        return fail(console, "mission " + id + ": " + answer.error().what, Exit::Unreachable);
    }
    const Status over = client->wait_until_closed(milliseconds(timeout_ms));
    if (!over) {
        return fail(console, "mission " + id + " was told to end but is not over yet: " + over.error().what,
                    Exit::Unreachable);
    }
    console.out << "revoked " << id << "\n";
    return Exit::Ok;
}

Exit revoke_service(Console& console, const std::string& id, const std::string& service) {
    Result<ControlClient> client = ControlClient::connect(console.places.control_socket(id));
    if (!client) return fail(console, "mission " + id + ": " + client.error().what, Exit::Unreachable);
    std::string request = R"({"v":1,"request":"revoke-service","service":)";
    wire::append_json_string(request, service);
    const Result<std::string> answer = client->ask(request + "}", kControlAnswerTimeout);
    if (!answer) {
        const bool is_refused = answer.error().code == Errc::Protocol;
        return fail(console, "mission " + id + ": " + answer.error().what,
                    is_refused ? Exit::Failed : Exit::Unreachable);
    }
    console.out << "revoked service " << ledger::printable(service) << " of " << id << "\n";
    return Exit::Ok;
}

// FAIL-CLOSED: one that does not say what it has is asked to give it back, which tells what is wrong with it.
bool may_have_service(const Console& console, const std::string& id, const std::string& service) {
    const Result<LiveMission> live = ask_to_show(console.places, id);
    if (!live) return is_mission_alive(console.places, id);
    if (!live->services) return true;
    return std::find(live->services->begin(), live->services->end(), service) != live->services->end();
}

}  // namespace

Exit run_revoke(Console& console, const RevokeOptions& options) {
    std::vector<std::string> ids;
    const bool is_by_service = options.mission.empty() && !options.service.empty() && !options.revokes_all;
    if (options.revokes_all || is_by_service) {
        const Result<std::vector<std::string>> all = list_missions(console.places);
        if (!all) return fail(console, all.error());
        for (const std::string& id : *all) {
            if (!is_mission_alive(console.places, id)) continue;
            if (!is_by_service || may_have_service(console, id, options.service)) ids.push_back(id);
        }
    } else {
        const Result<std::string> id = find_mission(console.places, options.mission);
        if (!id) return fail(console, error_of_absent(console.places, options.mission, id.error()));
        if (!is_mission_alive(console.places, *id)) return fail(console, "mission " + *id + " has ended already");
        ids.push_back(*id);
    }
    if (ids.empty()) {
        const std::string what = is_by_service ? " that has service " + ledger::printable(options.service) : "";
        console.out << "no mission" << what << " is running\n";
    }
    Exit worst = Exit::Ok;
    for (const std::string& id : ids) {
        if (options.is_dry) {
            const std::string what = options.service.empty() ? "" : "service " + options.service + " of ";
            console.out << "would revoke " << ledger::printable(what) << id << "\n";
            continue;
        }
        const Exit code = options.service.empty() ? revoke_one(console, id, options.timeout_ms)
                                                  : revoke_service(console, id, options.service);
        if (code != Exit::Ok) worst = code;
    }
    return worst;
}

}  // namespace sanctum::console
