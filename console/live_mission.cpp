// SPDX-License-Identifier: Apache-2.0
#include "console/live_mission.hpp"

#include "base/limits.hpp"

namespace sanctum::console {

Result<LiveMission> ask_to_show(const Places& places, const std::string& id) {
    SANCTUM_TRY(ControlClient client, ControlClient::connect(places.control_socket(id)));
    SANCTUM_TRY(const std::string answer, client.ask(R"({"v":1,"request":"show"})", kControlAnswerTimeout));
    Result<LiveMission> live = wire::from_json<LiveMission>(answer);
    if (!live) return std::move(live).error().in("the mission's answer");
    if (live->mission != id) return Error{Errc::Protocol, "another mission answered: " + live->mission};
    return live;
}

}  // namespace sanctum::console
