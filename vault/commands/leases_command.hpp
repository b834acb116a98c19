// SPDX-License-Identifier: Apache-2.0
// `sanctum-vault leases`: what the journal knows of credentials; `sanctum leases` shows it. Needs no store.
#pragma once

namespace sanctum::vault {

/// Exit codes: 0 done, 1 failed (the journal cannot be read), 2 usage.
[[nodiscard]] int run_leases_command(int argc, char** argv);

}  // namespace sanctum::vault
