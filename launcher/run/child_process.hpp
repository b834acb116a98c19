// SPDX-License-Identifier: Apache-2.0
// What every process that the launcher starts has in common between fork and exec. Async-signal-safe: a child of ours
// allocates nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace sanctum::launcher {

/// Number on which a child of ours finds the one descriptor it keeps.
inline constexpr int kChannelDescriptor = 3;

enum class ChildStderr { Keep, Null };

/// Session of its own, `/` as folder, umask 077, no signals blocked, /dev/null on 0-2 (or our stderr), `kept` on
/// kChannelDescriptor without close-on-exec, `report` (may be -1) close-on-exec on the next number, the rest closed.
/// Returns 0 or an errno value.
[[nodiscard]] int settle_in_child(int kept, int report, ChildStderr child_stderr);

/// Null-terminated pointers into `texts`, for execve; valid while `texts` is unchanged.
[[nodiscard]] std::vector<char*> exec_pointers(std::span<const std::string> texts);

}  // namespace sanctum::launcher
