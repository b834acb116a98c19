// SPDX-License-Identifier: Apache-2.0
// What the caller's descriptors 0, 1 and 2 may be: they are the only ones that the agent inherits.
#pragma once

#include "base/result.hpp"

namespace sanctum::launcher {

/// Refuses what would be a way out of the sandbox: folders, and sockets that could be connected elsewhere. Files,
/// pipes, terminals and connected unix streams are fine. A closed one becomes /dev/null. Errors: Denied, Io.
[[nodiscard]] Status check_standard_descriptors();

}  // namespace sanctum::launcher
