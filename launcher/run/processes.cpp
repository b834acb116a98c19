// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/processes.hpp"

#include "base/limits.hpp"

namespace sanctum::launcher {
namespace {

ProgramStart start_of(Role role, const PreparedMission& prepared, Talk talk) {
    return program_start(std::string(name_of(role)), prepared.places, talk, prepared.environment);
}

}  // namespace

Result<std::unique_ptr<Processes>> Processes::start(const PreparedMission& prepared, Talk talk) {
    SANCTUM_TRY(Standby standby_process, Standby::start({prepared.places, prepared.mission.id, prepared.environment,
                                                         prepared.care}));
    // Owned from the start: an error below reaps what was started above.
    std::unique_ptr<Processes> processes(new Processes(std::move(standby_process)));
    if (!prepared.witness.empty()) {
        SANCTUM_TRY(processes->witness,
                    Witness::start({prepared.witness, prepared.environment, kWitnessTimeout, kWitnessEndTimeout}));
    }
    SANCTUM_TRY(processes->interceptor.process, start_program(start_of(Role::Interceptor, prepared, talk)));
    SANCTUM_TRY(processes->vault.process, start_program(start_of(Role::Vault, prepared, talk)));
    return processes;
}

Status Processes::spawn_agent(const SandboxPlan& plan, const StandardDescriptors& standard) {
    SANCTUM_TRY(agent, spawn_confined(plan, standard));
    // They had the time that the sandbox took.
    SANCTUM_CHECK(confirm_start(interceptor.process));
    return confirm_start(vault.process);
}

Processes::~Processes() {
    if (agent) kill_tree(*agent);
    for (Peer* peer : {&interceptor, &vault}) peer->process.channel.close();
    if (!wait_for_end(interceptor.process, kStopGrace)) kill_program(interceptor.process);
    // The vault is never killed: it leaves by itself when every lease has its end.
    static_cast<void>(wait_for_end(vault.process, kVaultLeaveTimeout));
    if (witness) witness->dismiss();
    standby.dismiss();
}

}  // namespace sanctum::launcher
