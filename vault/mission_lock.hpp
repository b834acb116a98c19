// SPDX-License-Identifier: Apache-2.0
// The lock that a mission's vault holds for as long as it lives, and the reaper's one question: is it still held?
//
// flock(2) ends with the process and with the machine, so neither a reused pid nor a reboot can mislead the reaper.
// The lock is taken before the mission is in the journal and never by anybody else but a reaper.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <string>

namespace sanctum::vault {

/// `state_folder`/vault-locks/`name`.
[[nodiscard]] std::string vault_lock_path(const std::string& state_folder, const std::string& name);

/// Opens (makes) and locks a file of vault-locks. Errors: Timeout (held by another and Wait::No), Io.
enum class Wait { Yes, No };
[[nodiscard]] Result<UniqueFd> lock_file(const std::string& path, Wait wait);

}  // namespace sanctum::vault
