// SPDX-License-Identifier: Apache-2.0
// One run of sanctum-run, from options to exit code.
#pragma once

#include "launcher/run/options.hpp"

namespace sanctum::launcher {

/// Runs one mission and returns the exit code (exit_codes.hpp). Never writes to stdout, except for a dry run. Inside a
/// mission it asks the outer launcher for a child mission instead.
[[nodiscard]] int supervise(const Options& options);

/// The same for a child mission that an agent asked for; started by a standby (child_side.hpp), it says to the parent's
/// launcher and to the agent what happened, and nothing on descriptors 0 to 2.
[[nodiscard]] int supervise_child();

}  // namespace sanctum::launcher
