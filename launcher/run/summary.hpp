// SPDX-License-Identifier: Apache-2.0
// The words at the end: what a person on the terminal reads after a run, and why a command could not be run.
#pragma once

#include "base/result.hpp"
#include "launcher/run/exit_codes.hpp"
#include "launcher/run/mission_record.hpp"
#include "launcher/run/preparation.hpp"
#include "launcher/run/status.hpp"
#include "ledger/ledger.hpp"

#include <string>

namespace sanctum::launcher {

/// Whether an error of release() is the exec itself (126/127) and not a step before it.
[[nodiscard]] bool is_exec_failure(const Error& error);

/// 126 or 127 with a sentence. A command that exists outside but not inside gets the line for the profile that shows
/// it.
[[nodiscard]] Ending explain_exec_failure(const Error& error, const PreparedMission& prepared);

/// The same for a child mission: told to an agent, and so without a look at this machine.
[[nodiscard]] Ending explain_exec_failure_inside(const Error& error, const SandboxPlan& plan);

/// The place outside of a command (absolute, relative with `/`, or searched in `path`); empty when there is none. Looks
/// at files.
[[nodiscard]] std::string find_outside(const std::string& command, const std::string& path,
                                       const std::string& working_directory);

/// What a person should know of a workspace whose `.git` names a repository elsewhere (a worktree, a submodule) that no
/// grant shows; empty: git finds what it needs, or no repository there names this workspace as its own. Looks at files.
[[nodiscard]] std::string repository_outside(const profiles::Sandbox& sandbox);

/// Names files that run later in `ended` and on the terminal; what could not be held back is always said.
void report_workspace(const Result<WorkspaceFindings>& findings, ledger::MissionEnded& ended, const Speaker& speaker);

/// Three lines: allowed and refused, scopes never used, what to look at next. And always: a head that the witness
/// was not told.
void say_last_lines(const Speaker& speaker, const PreparedMission& prepared, const MissionRecord& record,
                    const Ending& ending, const Result<ledger::Sealed>& sealed);

/// What a person must know of heads that were not told; empty when there are none. Pure.
[[nodiscard]] std::string witness_line(const std::string& command, const ledger::Sealed& sealed);

/// The lines at the end; nothing of scopes where the mission `has_scopes` of none. Pure.
[[nodiscard]] std::string last_lines(const std::string& mission, const Counts& counts, bool has_scopes,
                                     const std::vector<std::string>& unused_scopes);

}  // namespace sanctum::launcher
