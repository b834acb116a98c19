// SPDX-License-Identifier: Apache-2.0
// What init does once the sandbox stands: reap, tell the launcher, obey its orders, and end everything in time.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <sys/types.h>

namespace sanctum::launcher {

/// Descriptors and the agent that the loop watches; owned by the process, which never leaves the loop.
struct InitLoop {
    int alive;
    int events;
    int started;  ///< -1 once the agent's start is known
    pid_t agent;
    int children;  ///< signalfd for SIGCHLD
    int timer;     ///< timerfd, CLOCK_BOOTTIME
};

/// Opens timer and signalfd, gives up capabilities, ties this process's life to the launcher's, and enters Landlock and
/// a filter that knows only what the loop needs. Errors: Io, Cancelled (the launcher is gone already).
[[nodiscard]] Status prepare_init_loop(InitLoop& loop, std::int64_t ends_boot_ms);

/// Never returns; ends the process and with it the namespace when the agent ends, the launcher goes, the time is over
/// or the launcher orders it.
[[noreturn]] void run_init_loop(InitLoop& loop);

}  // namespace sanctum::launcher
