// SPDX-License-Identifier: Apache-2.0
// The processes of one mission, started in order and, whatever happens, not left behind.
#pragma once

#include "launcher/confine/spawn.hpp"
#include "launcher/run/peers.hpp"
#include "launcher/run/standby.hpp"

#include <optional>

namespace sanctum::launcher {

/// Owns all of them. After an orderly end everything is gone already and destruction does nothing; after a failed
/// set-up destruction kills the held agent, lets the peers leave and reaps them.
class Processes {
public:
    /// Forks the standby, starts interceptor and vault. Errors: NotFound, NotPermitted, Io.
    [[nodiscard]] static Result<Processes> start(const PreparedMission& prepared, Talk talk);
    Processes(Processes&&) noexcept = default;
    Processes& operator=(Processes&&) noexcept = delete;
    ~Processes();

    /// Builds the sandbox and holds the agent at its gate. Errors: the failing step's.
    [[nodiscard]] Status spawn_agent(const SandboxPlan& plan);

    Standby standby;
    Peer interceptor;
    Peer vault;
    std::optional<ConfinedAgent> agent;

private:
    Processes(Standby standby_process, Peer interceptor_peer, Peer vault_peer)
        : standby(std::move(standby_process)), interceptor(std::move(interceptor_peer)), vault(std::move(vault_peer)) {}
};

}  // namespace sanctum::launcher
