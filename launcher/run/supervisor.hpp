// SPDX-License-Identifier: Apache-2.0
// One run of sanctum-run, from options to exit code.
#pragma once

#include "launcher/run/options.hpp"

namespace sanctum::launcher {

/// Runs one mission and returns the exit code (exit_codes.hpp). Never writes to stdout, except for a dry run.
[[nodiscard]] int supervise(const Options& options);

}  // namespace sanctum::launcher
