// SPDX-License-Identifier: Apache-2.0
// `sanctum-vault connect`, which `sanctum connect` becomes: a person's consent, kept as a refresh token in the store.
#pragma once

namespace sanctum::vault {

/// Exit codes: 0 connected, 1 failed or refused, 2 usage (no such account, or one that cannot be connected), 4 the
/// store is locked, 5 the provider is out of reach, 130 cancelled.
[[nodiscard]] int run_connect_command(int argc, char** argv);

}  // namespace sanctum::vault
