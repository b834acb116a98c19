// SPDX-License-Identifier: Apache-2.0
// Standby: a forked, idle copy of the launcher from before its confinement. It does what the confined launcher cannot
// do itself (start the reaper, start a child mission's launcher, change files of the workspace's owner), and when the
// launcher was killed it becomes the reaper.
//
// It takes orders of one letter from the launcher and nothing from anybody else; it never sees the agent's bytes.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "base/runs_later/runs_later.hpp"
#include "base/unique_fd.hpp"
#include "launcher/run/workspace_care.hpp"

#include <chrono>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

/// What the standby knows from the beginning.
struct StandbyStart {
    const Places& places;
    const std::string& mission;
    const std::map<std::string, std::string>& environment;  ///< the caller's; variables are taken by exact name
    const std::vector<WorkspaceCare>& care;  ///< per folder
};

class Standby {
public:
    /// Forks the child. Call it single-threaded. If our end closes without dismiss(), the launcher was killed, and the
    /// child becomes `sanctum reap --background`. Errors: Io.
    [[nodiscard]] static Result<Standby> start(const StandbyStart& start);
    Standby(Standby&&) noexcept = default;
    Standby& operator=(Standby&&) noexcept = default;

    /// Starts `sanctum reap --background` besides, for what earlier missions left unfinished. Errors: Io.
    [[nodiscard]] Status reap_earlier_missions();

    /// Runs `sanctum-vault reap --json --mission ID` and returns what it printed (JSON Lines).
    /// Errors: Io (also when it did not end with 0: then nobody knows how the leases ended), Timeout, Limit.
    [[nodiscard]] Result<std::string> reap_leases(std::chrono::milliseconds timeout);

    /// Looks for files that run later which the mission made or changed, and holds them back if the mission says so.
    /// Call it after the tree's end. Errors: Io, Timeout, Protocol, and what the search itself reported.
    [[nodiscard]] Result<WorkspaceFindings> care_for_workspace(std::chrono::milliseconds timeout);

    /// Starts the launcher of a child mission besides: `sanctum-run` anew, with what is borrowed here on its
    /// descriptors 3 to 5 and nothing else of ours. Errors: Io.
    [[nodiscard]] Status start_child_mission(int channel, int client, int parent_file);

    /// Everything has its end; the child leaves and is reaped. Idempotent.
    void dismiss();

private:
    Standby(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
    [[nodiscard]] Result<std::string> ask(char order, std::chrono::milliseconds timeout);

    UniqueFd socket_;
    pid_t pid_ = -1;
};

}  // namespace sanctum::launcher
