// SPDX-License-Identifier: Apache-2.0
// The launcher's `start` taken apart, and the vault's confinement: steps of mission_process that may fail.
#pragma once

#include "base/confinement/self_confinement.hpp"
#include "base/result.hpp"
#include "base/wire/channel.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"

#include <string>
#include <vector>

namespace sanctum::vault {

/// What `start` carried, decoded and checked.
struct MissionStart {
    wire::StartVault message;
    profiles::Mission mission;
    profiles::VaultConfig config;
    UniqueFd interceptor;
    UniqueFd terminal;  ///< closed: nobody can be asked
    UniqueFd variables; ///< secrets of the launcher's environment, `NAME=value` and NUL each; closed: there are none
};

/// Takes `start` apart. Errors: Protocol (a role missing, unknown or twice; a mission that is not the one named).
[[nodiscard]] Result<MissionStart> decode_start(const wire::Packet& packet);

/// Locks the process up: the state folder and `paths` are all it still reaches; no network of its own, no other
/// process. With `replaces_items` the calls that replace the store's file stay.
[[nodiscard]] Status confine_vault(const std::string& state_folder, const std::vector<AllowedPath>& paths,
                                   bool replaces_items);

/// `reason` of wire::Failed for a set-up error: store_locked | store_passphrase | setup.
[[nodiscard]] std::string failure_reason(const Error& error);

}  // namespace sanctum::vault
