// SPDX-License-Identifier: Apache-2.0
// `sanctum revoke`: ends missions now and waits until each is over, its leases given back and its ledger sealed; or
// takes one service back from missions that go on.
#include "base/limits.hpp"
#include "console/absent_mission.hpp"
#include "console/commands.hpp"
#include "console/control_client.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"

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

}  // namespace

Exit run_revoke(Console& console, const RevokeOptions& options) {
    std::vector<std::string> ids;
    if (options.revokes_all) {
        const Result<std::vector<std::string>> all = list_missions(console.places);
        if (!all) return fail(console, all.error());
        for (const std::string& id : *all) {
            if (is_mission_alive(console.places, id)) ids.push_back(id);
        }
    } else {
        const Result<std::string> id = find_mission(console.places, options.mission);
        if (!id) return fail(console, error_of_absent(console.places, options.mission, id.error()));
        if (!is_mission_alive(console.places, *id)) return fail(console, "mission " + *id + " has ended already");
        ids.push_back(*id);
    }
    if (ids.empty()) console.out << "no mission is running\n";
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
