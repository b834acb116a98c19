// SPDX-License-Identifier: Apache-2.0
// `sanctum vault init|add|list|remove|backup|restore|unlock|lock`, run by the console as `sanctum-vault store …`.
// None of them ever prints a value.
#pragma once

namespace sanctum::vault {

/// Exit codes: 0 done, 1 failed, 2 usage, 4 the store is locked, 130 interrupted at a question.
[[nodiscard]] int run_store_command(int argc, char** argv);

}  // namespace sanctum::vault
