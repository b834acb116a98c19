// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/workspace_care.hpp"

#include <grp.h>
#include <unistd.h>
#include <utility>

namespace sanctum::launcher {
namespace {

// Root would follow any trap the agent left (a link, a mount of the owner's) with all its power; the owner cannot.
Status become_owner(const WorkspaceCare& care) {
    if (::geteuid() != 0 || care.owner == 0) return {};
    if (::setgroups(0, nullptr) != 0) return io_error("setgroups");
    if (::setresgid(care.group, care.group, care.group) != 0) return io_error("setresgid");
    if (::setresuid(care.owner, care.owner, care.owner) != 0) return io_error("setresuid");
    return {};
}

}  // namespace

WorkspaceFindings care_for_workspace_as_owner(const WorkspaceCare& care) {
    WorkspaceFindings findings;
    if (const Status owner = become_owner(care); !owner) {
        findings.error = owner.error().what;
        return findings;
    }
    const runs_later::Changes changes = runs_later::find_changes(care.before);
    if (!changes.whole) findings.error = changes.whole.error().what;
    for (const runs_later::Change& change : changes.found) {
        findings.files.push_back(change.path);
        findings.reasons.push_back(change.reason);
    }
    if (changes.found.empty() || care.policy == profiles::RunsLater::Report) return findings;
    runs_later::Held held = runs_later::hold(changes.found, care.before);
    findings.digests = std::move(held.digests);
    findings.are_held = held.whole.has_value();
    if (!held.whole) findings.error += (findings.error.empty() ? "" : "; ") + held.whole.error().what;
    return findings;
}

void add_findings(WorkspaceFindings& all, const std::string& folder, Result<WorkspaceFindings> found) {
    const std::string error = found ? found->error : found.error().what;
    if (!error.empty()) all.error += (all.error.empty() ? "" : "; ") + folder + ": " + error;
    if (!found || found->files.empty()) return;
    all.are_held = found->are_held && (all.files.empty() || all.are_held);
    all.files.insert(all.files.end(), found->files.begin(), found->files.end());
    all.reasons.insert(all.reasons.end(), found->reasons.begin(), found->reasons.end());
    all.digests.insert(all.digests.end(), found->digests.begin(), found->digests.end());
}

}  // namespace sanctum::launcher
