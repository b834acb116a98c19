// SPDX-License-Identifier: Apache-2.0
// The vault as a process of one mission: the spine of sanctum-vault.
#pragma once

namespace sanctum::vault {

/// Serves one mission on the launcher's socket `mission_fd` (SOCK_SEQPACKET; taken over) until everything is given
/// back. Returns the exit code: 0 when every lease has its end, 1 after a failure that the launcher was told of.
[[nodiscard]] int run_mission(int mission_fd);

}  // namespace sanctum::vault
