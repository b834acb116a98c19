// SPDX-License-Identifier: Apache-2.0
// What is done around a run with a workspace and every other folder that the agent may write: files that somebody runs
// later outside are remembered before it, and new or changed ones found, held back or reported after it (design 13.7).
#pragma once

#include "base/result.hpp"
#include "base/runs_later/runs_later.hpp"
#include "profiles/schema/mission.hpp"

#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

/// What has to be known of one folder before the run. The owner is who may rename files there; never more than that is
/// used.
struct WorkspaceCare {
    runs_later::Snapshot before;
    profiles::RunsLater policy = profiles::RunsLater::Hold;
    uid_t owner = 0;
    gid_t group = 0;
};

/// What was found after it.
struct WorkspaceFindings {
    std::vector<std::string> files;    ///< absolute paths of the originals
    std::vector<std::string> reasons;  ///< one per file
    std::vector<std::string> digests;  ///< runs_later::Held::digests, one per file; empty: reported only
    bool are_held = false;             ///< renamed to `*.sanctum-held`; else reported only
    std::string error;                 ///< what could not be looked at or held back; empty: nothing
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("files", self.files);
        archive("reasons", self.reasons);
        archive("digests", self.digests);
        archive("are_held", self.are_held);
        archive("error", self.error);
    }
};

/// Becomes the folder's owner for good (where this process may), then finds and holds back. For the standby only.
[[nodiscard]] WorkspaceFindings care_for_workspace_as_owner(const WorkspaceCare& care);

/// Adds what was found in one more folder. FAIL-CLOSED: a failure is an error of the whole, with the folder's name, and
/// takes nothing of what was found elsewhere away.
void add_findings(WorkspaceFindings& all, const std::string& folder, Result<WorkspaceFindings> found);

}  // namespace sanctum::launcher
