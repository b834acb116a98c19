// SPDX-License-Identifier: Apache-2.0
// What /proc says about a process of the agent's tree: executable and ancestors, for the record. All of it is claimed.
#pragma once

#include "ledger/ledger.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace sanctum::launcher {

/// The three members of /proc/PID/status that matter.
struct StatusFacts {
    pid_t thread_group = 0;
    pid_t parent = 0;
    std::uint32_t pid_inside = 0;  ///< in the innermost pid namespace
    std::string name;
};

/// Parses the text of /proc/PID/status. nullopt when a member is missing. Pure.
[[nodiscard]] std::optional<StatusFacts> parse_status(std::string_view status);

/// Reads /proc/PID/status; nullopt when the process is gone.
[[nodiscard]] std::optional<StatusFacts> read_status(pid_t pid);

/// Executable and the names of the ancestors up to `init_pid` (at most kAncestorsMax), nearest first. Members that
/// cannot be read stay empty.
[[nodiscard]] ledger::ClaimedProcess describe_process(const StatusFacts& status, pid_t init_pid);

}  // namespace sanctum::launcher
