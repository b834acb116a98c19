// SPDX-License-Identifier: Apache-2.0
// What the launcher itself may still do once the agent's process exists.
#pragma once

#include "base/result.hpp"

namespace sanctum::launcher {

/// Drops every capability and installs the launcher's allow-list filter: no exec, no new socket, no namespaces, no
/// mounts. There is no Landlock domain: one would forbid the watch to look at the agent's processes (measured). Call it
/// after spawn_confined and before the ledger's thread exists. Errors: as confine_self.
[[nodiscard]] Status confine_launcher();

}  // namespace sanctum::launcher
