// SPDX-License-Identifier: Apache-2.0
// What a live mission says about itself on its control socket.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "console/control_client.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::console {

struct LiveMission {
    std::string mission, name, agent, purpose;
    std::string state;  ///< running | stopped | ending
    std::string profile, profile_sha256, workspace;
    std::vector<std::string> command;
    std::int64_t started_unix_ms = 0;
    std::int64_t ends_unix_ms = 0;
    std::map<std::string, std::int64_t> processes;   ///< role → process id
    std::map<std::string, std::string> paths;
    std::map<std::string, std::uint64_t> counts;
    std::optional<std::string> parent;                 ///< empty: a person started it; absent: an older launcher
    std::optional<std::vector<std::string>> children;  ///< child missions that run
    std::optional<std::vector<std::string>> services;  ///< their names; absent: an older launcher
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("state", self.state);
        archive("profile", self.profile);
        archive("profile_sha256", self.profile_sha256);
        archive("workspace", self.workspace);
        archive("command", self.command);
        archive("started_unix_ms", self.started_unix_ms);
        archive("ends_unix_ms", self.ends_unix_ms);
        archive("processes", self.processes);
        archive("paths", self.paths);
        archive("counts", self.counts);
        archive("parent", self.parent);
        archive("children", self.children);
        archive("services", self.services);
    }
};

/// Asks a mission to show itself. Errors: those of ControlClient.
[[nodiscard]] Result<LiveMission> ask_to_show(const Places& places, const std::string& id);

}  // namespace sanctum::console
