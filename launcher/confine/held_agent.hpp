// SPDX-License-Identifier: Apache-2.0
// The agent's process between its fork from init and its execve: it waits at the gate and walks the last steps.
#pragma once

#include "launcher/plan/sandbox_plan.hpp"

namespace sanctum::launcher {

/// What the held agent inherits. `take_terminal`: the launcher is in the foreground of a terminal that the agent gets.
struct HeldAgent {
    const SandboxPlan& plan;
    int gate;
    int started;  ///< close-on-exec pipe to init: closed by a successful exec, one byte before a failed one
    bool take_terminal;
};

/// Reports itself, waits for the launcher's files, writes them, gives everything up and becomes the command. Never
/// returns; a failing step is reported on the gate and ends the process with 125.
[[noreturn]] void run_held_agent(const HeldAgent& agent);

}  // namespace sanctum::launcher
