// SPDX-License-Identifier: Apache-2.0
// The agent's view of the file system: a new root on tmpfs, built step by step from the plan, then pivoted into.
//
// Every source is opened once, without following a symbolic link, and mounted by descriptor; every target is opened
// below the new root the same way. A link that is swapped in during the set-up makes a step fail, never move.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "launcher/plan/sandbox_plan.hpp"

#include <vector>

namespace sanctum::launcher {

/// Detached mounts of a plan's Bind, BindReadOnly and Device steps, by the index of the step; others are closed.
using MountSources = std::vector<UniqueFd>;

/// Opens all sources with the rights of the caller and sets their flags. Started by root this is the launcher's work,
/// because the agent's user may not reach them; it also shows root's files as the user's where the plan says so.
/// Errors: Io, Unsupported (the file system refuses idmapped mounts).
[[nodiscard]] Result<MountSources> open_mount_sources(const SandboxPlan& plan);

/// Builds the new root, forbids further namespaces, and makes it this process's only file system. Its own tmpfs stays
/// writable until seal_root(). Runs in the new mount namespace with CAP_SYS_ADMIN. `sources` may be empty: then they
/// are opened one by one. Errors: Io with the target that failed.
[[nodiscard]] Status enter_new_root(const SandboxPlan& plan, MountSources sources);

/// Makes the root's tmpfs read-only. Errors: Io.
[[nodiscard]] Status seal_root();

}  // namespace sanctum::launcher
