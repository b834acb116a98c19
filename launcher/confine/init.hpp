// SPDX-License-Identifier: Apache-2.0
// Init: process 1 of the agent's namespaces, a fork of the launcher that never execs.
//
// It builds the sandbox around itself, forks the held agent, locks itself up, and then only reaps, relays and waits.
// When it exits, for whatever reason, the kernel kills everything in its pid namespace.
#pragma once

#include "launcher/confine/mounts.hpp"
#include "launcher/confine/spawn.hpp"
#include "launcher/plan/sandbox_plan.hpp"

#include <cstdint>

namespace sanctum::launcher {

/// What init inherits. Descriptors are numbers because a forked child owns them all the same.
struct InitStart {
    explicit InitStart(const SandboxPlan& sandbox) : plan(sandbox) {}
    const SandboxPlan& plan;
    MountSources sources;       ///< opened by the launcher when it is root, else empty
    int alive = -1;             ///< read end; end of file: the launcher is gone
    int events = -1;            ///< SOCK_SEQPACKET to the launcher
    int gate = -1;              ///< the agent's end of its socket to the launcher
    StandardDescriptors standard = kOwnDescriptors;  ///< the agent's 0 to 2
    bool wait_for_launcher = false;  ///< ids are mapped or groups joined from outside
    bool take_terminal = false;
    std::int64_t ends_boot_ms = 0;   ///< CLOCK_BOOTTIME of init's own timer
};

/// Runs in the child of clone3. Never returns.
[[noreturn]] void run_init(InitStart start);

}  // namespace sanctum::launcher
