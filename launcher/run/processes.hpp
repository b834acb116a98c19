// SPDX-License-Identifier: Apache-2.0
// The processes of one mission, started in order and, whatever happens, not left behind.
#pragma once

#include "launcher/confine/spawn.hpp"
#include "launcher/run/peers.hpp"
#include "launcher/run/standby.hpp"
#include "launcher/run/witness.hpp"

#include <memory>
#include <optional>

namespace sanctum::launcher {

/// Owns all of them. After an orderly end everything is gone already and destruction does nothing; after a failed
/// set-up destruction kills the held agent, lets the peers leave and reaps them.
class Processes {
public:
    /// Forks the standby, the witness where one is configured, interceptor and vault. Errors: Io.
    [[nodiscard]] static Result<std::unique_ptr<Processes>> start(const PreparedMission& prepared, Talk talk);
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;
    ~Processes();

    /// Builds the sandbox and holds the agent at its gate, while interceptor and vault load. Errors: the failing
    /// step's; NotFound, NotPermitted: of a program that cannot be executed.
    [[nodiscard]] Status spawn_agent(const SandboxPlan& plan, const StandardDescriptors& standard = kOwnDescriptors);

    Standby standby;
    std::unique_ptr<Witness> witness;  ///< null without one
    Peer interceptor{{}, PeerProtocol(Role::Interceptor)};
    Peer vault{{}, PeerProtocol(Role::Vault)};
    std::optional<ConfinedAgent> agent;

private:
    explicit Processes(Standby standby_process) : standby(std::move(standby_process)) {}
};

}  // namespace sanctum::launcher
