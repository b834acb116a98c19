// SPDX-License-Identifier: Apache-2.0
// mission.json: what the launcher wrote down about a mission before it began.
#pragma once

#include "base/result.hpp"
#include "base/runs_later/runs_later.hpp"
#include "ledger/receipt.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::console {

/// The members the console uses; the launcher writes more.
struct MissionFile {
    std::int64_t v = 0;
    std::string mission;
    std::string name;
    std::string agent;
    std::string purpose;
    std::vector<std::string> command;
    std::string profile_path;
    std::string profile_sha256;
    std::string workspace;
    std::optional<std::vector<std::string>> cared_for;  ///< folders where files are held back; absent: the workspace
    std::int64_t started_unix_ms = 0;
    std::int64_t ends_unix_ms = 0;
    std::optional<std::string> parent;  ///< empty or absent: a person started it
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("mission", self.mission);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("command", self.command);
        archive("profile_path", self.profile_path);
        archive("profile_sha256", self.profile_sha256);
        archive("workspace", self.workspace);
        archive("cared_for", self.cared_for);
        archive("started_unix_ms", self.started_unix_ms);
        archive("ends_unix_ms", self.ends_unix_ms);
        archive("parent", self.parent);
    }
};

/// Errors: NotFound, Unsupported (a newer Sanctum wrote it), Protocol (with the member), Io.
[[nodiscard]] Result<MissionFile> read_mission_file(const std::string& mission_folder);

/// What of a mission is held now, in every folder that it was cared for. FAIL-CLOSED as runs_later::still_held.
[[nodiscard]] std::vector<runs_later::HeldPlace> still_held(const MissionFile& mission,
                                                            const ledger::Receipt& receipt);

}  // namespace sanctum::console
