// SPDX-License-Identifier: Apache-2.0
// From the launcher's `start` to a vault that can serve: the steps of mission_process that may fail, in order.
#pragma once

#include "base/result.hpp"
#include "base/wire/channel.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/journal.hpp"
#include "vault/leases.hpp"
#include "vault/poll_loop.hpp"

#include <map>
#include <string>

namespace sanctum::vault {

/// What `start` carried, decoded and checked.
struct MissionStart {
    wire::StartVault message;
    profiles::Mission mission;
    profiles::VaultConfig config;
    UniqueFd interceptor;
    UniqueFd terminal;  ///< closed: nobody can be asked
};

/// Takes `start` apart. Errors: Protocol (a role missing, unknown or twice; a mission that is not the one named).
[[nodiscard]] Result<MissionStart> decode_start(const wire::Packet& packet);

/// The sources of the mission's accounts, by account name. Forks the command runner where an account needs it, opens
/// the store where one needs it and closes it again. `launcher_fd` cancels a question at the terminal.
/// Errors: as unlock_store and load_store; NotFound (an item or program is missing), InvalidProfile.
[[nodiscard]] Result<std::map<std::string, AccountSource>> make_sources(const MissionStart& start, int launcher_fd,
                                                                        PollLoop& loop);

/// Locks the process up: the state folder is all it still reaches; no network, no other process.
[[nodiscard]] Status confine_vault(const std::string& state_folder);

/// `reason` of wire::Failed for a set-up error: store_locked | store_passphrase | setup.
[[nodiscard]] std::string failure_reason(const Error& error);

}  // namespace sanctum::vault
