// SPDX-License-Identifier: Apache-2.0
// `sanctum-vault reap`: the reaper as a program; `sanctum reap` runs it and adds its lines to the ledgers.
#pragma once

namespace sanctum::vault {

/// Exit codes: 0 done, 1 failed (the journal cannot be read or written), 2 usage.
[[nodiscard]] int run_reap_command(int argc, char** argv);

}  // namespace sanctum::vault
