// SPDX-License-Identifier: Apache-2.0
// From accounts to sources: helpers are forked, the store is opened and closed, and what a mission needs is taken out.
#pragma once

#include "base/clock.hpp"
#include "base/confinement/self_confinement.hpp"
#include "base/result.hpp"
#include "vault/http/provider_client.hpp"
#include "vault/leases.hpp"
#include "vault/mission_setup.hpp"
#include "vault/poll_loop.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::vault {

/// The sources of one mission, and what they stand on.
struct MissionSources {
    std::unique_ptr<ProviderClient> providers;  ///< null: no account asks a provider
    std::map<std::string, AccountSource> accounts;
    std::vector<AllowedPath> paths;         ///< what they reach in files once the process is locked up
    bool replaces_items = false;            ///< an account's refresh token may change in the store
};

/// Finds out where those providers of the mission are of which the configuration does not say it, and writes it into
/// `start`: before make_sources(), for nothing of it needs a secret. `launcher_fd` cancels; waits for the providers.
/// Errors: InvalidProfile (all that discover() can fail with).
[[nodiscard]] Status find_providers(MissionStart& start, int launcher_fd, const Clock& clock);

/// Makes them, in the one order that keeps helpers ignorant: the runner of commands and the dialler are forked before
/// the store is opened. `launcher_fd` cancels a question at the terminal; `loop` and `clock` must outlive the result.
/// Errors: as unlock_store and load_store; NotFound (an item or program is missing), InvalidProfile.
[[nodiscard]] Result<MissionSources> make_sources(const MissionStart& start, int launcher_fd, PollLoop& loop,
                                                  const Clock& clock);

}  // namespace sanctum::vault
