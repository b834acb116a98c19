// SPDX-License-Identifier: Apache-2.0
// The store's data key in the kernel's user keyring for a set time (keyrings(7), user-keyring(7)).
#pragma once

#include "base/result.hpp"
#include "vault/locked_bytes.hpp"

#include <chrono>
#include <string>

namespace sanctum::vault {

/// Puts the key of store `store_id` into the user keyring; the kernel forgets it after `life`. Replaces an earlier
/// one. Errors: NotPermitted (the machine or container forbids keyrings), Io.
[[nodiscard]] Status keep_in_keyring(const std::string& store_id, const LockedBytes& data_key,
                                     std::chrono::seconds life);

/// The key. Errors: NotFound (none, or its time passed), NotPermitted, Io.
[[nodiscard]] Result<LockedBytes> find_in_keyring(const std::string& store_id);

/// Removes the key at once. Errors: NotFound (none was there), NotPermitted, Io.
[[nodiscard]] Status remove_from_keyring(const std::string& store_id);

}  // namespace sanctum::vault
