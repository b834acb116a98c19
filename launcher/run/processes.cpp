// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/processes.hpp"

#include "base/limits.hpp"

namespace sanctum::launcher {
namespace {

Result<Peer> start_peer(Role role, const PreparedMission& prepared, Talk talk) {
    SANCTUM_TRY(TrustedProcess process,
                start_program(program_start(std::string(name_of(role)), prepared.places, talk, prepared.environment)));
    return Peer{std::move(process), PeerProtocol(role)};
}

}  // namespace

Result<Processes> Processes::start(const PreparedMission& prepared, Talk talk) {
    SANCTUM_TRY(Standby standby, Standby::start({prepared.places, prepared.mission.id, prepared.environment, prepared.workspace}));
    SANCTUM_TRY(Peer interceptor, start_peer(Role::Interceptor, prepared, talk));
    SANCTUM_TRY(Peer vault, start_peer(Role::Vault, prepared, talk));
    return Processes(std::move(standby), std::move(interceptor), std::move(vault));
}

Status Processes::spawn_agent(const SandboxPlan& plan) {
    SANCTUM_TRY(agent, spawn_confined(plan));
    return {};
}

Processes::~Processes() {
    if (agent) kill_tree(*agent);
    for (Peer* peer : {&interceptor, &vault}) peer->process.channel.close();
    if (!wait_for_end(interceptor.process, kStopGrace)) kill_program(interceptor.process);
    // The vault is never killed: it leaves by itself when every lease has its end.
    static_cast<void>(wait_for_end(vault.process, kVaultLeaveTimeout));
    standby.dismiss();
}

}  // namespace sanctum::launcher
