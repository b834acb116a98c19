// SPDX-License-Identifier: Apache-2.0
// sanctum-interceptor as a process: start-up, what it consists of, and its end.
#pragma once

#include "base/unique_fd.hpp"

namespace sanctum::interceptor {

/// Runs the interceptor of one mission on its channel to the launcher and returns the exit code: 0 after Stopped,
/// 1 when start-up failed, the launcher went, or a partner broke its protocol.
///
/// Order at start: receive the mission → fork the dialler (it keeps the machine's network) → leave the network for an
/// empty namespace → make the CA → lock up → Ready → serve. Nothing of the agent is read before it is locked up.
[[nodiscard]] int run_interceptor(UniqueFd launcher_channel);

}  // namespace sanctum::interceptor
