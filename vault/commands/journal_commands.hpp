// SPDX-License-Identifier: Apache-2.0
// What works on the journal of leases alone and needs no store: `sanctum-vault reap`, which `sanctum reap` runs and
// whose lines it adds to the ledgers, and `sanctum-vault leases`, which `sanctum leases` shows.
#pragma once

namespace sanctum::vault {

/// Exit codes of both: 0 done, 1 failed (the journal cannot be read or written), 2 usage.
[[nodiscard]] int run_reap_command(int argc, char** argv);
[[nodiscard]] int run_leases_command(int argc, char** argv);

}  // namespace sanctum::vault
