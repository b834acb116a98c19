// SPDX-License-Identifier: Apache-2.0
// The spine of sanctum-run: who reads this file has read what happens to one mission, in order.
#include "launcher/run/supervisor.hpp"

#include "base/build_id.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "launcher/run/launcher_confinement.hpp"
#include "launcher/run/mission_loop.hpp"
#include "launcher/run/open_record.hpp"
#include "launcher/run/processes.hpp"
#include "launcher/run/status.hpp"
#include "launcher/run/summary.hpp"
#include "profiles/schema/resolve.hpp"

#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr std::size_t kSaltBytes = 32;

MissionTimes times_from_now(const Clock& clock, std::int64_t ttl_ms) {
    const std::int64_t now = clock.wall().unix_ms;
    return {now, now + ttl_ms, clock.boot().ms + ttl_ms};
}

// The command itself cannot be run: 126 or 127; anything else that fails before it runs is 125.
Ending failed_before_running(const Error& error, const PreparedMission& prepared) {
    if (error.code == Errc::Cancelled && error.sys_errno > 0) {
        return {EndReason::Signal, kExitSignalBase + error.sys_errno, error.what};
    }
    if (error.sys_errno == 0 || !is_exec_failure(error)) return failed_to_set_up(error.what);
    return explain_exec_failure(error, prepared);
}

// From a loop that is watching everything to the end of the command.
Ending let_agent_run(MissionLoop& loop, ConfinedAgent& agent, const PreparedMission& prepared, const ReadyPeers& ready,
                     StatusLines& status) {
    const std::string policy = profiles::policy_json(prepared.mission);
    if (const Status released = release(agent, prepared.plan, ready.interceptor.ca_pem, policy); !released) {
        return failed_before_running(released.error(), prepared);
    }
    // From here on the command runs, and whatever goes wrong is an end of the mission and no failed set-up.
    status.started(prepared.mission.id, agent.agent_pid);
    if (const Status attended = loop.attend_agent(); !attended) return ended_by_loss(attended.error().what);
    return loop.run();
}

Result<Ending> run_mission(const PreparedMission& prepared, UniqueFd variables, const Options& options,
                           const Speaker& speaker, StatusLines& status, const Clock& clock) {
    // From here on signals are events, and the terminal's modes are remembered.
    SANCTUM_TRY(Signals signals, Signals::block());
    Terminal terminal = Terminal::open();

    // From here on processes of ours exist; none of them outlives this function but a vault with work left.
    SANCTUM_TRY(const std::unique_ptr<Processes> processes, Processes::start(prepared, options.talk));
    const MissionTimes times = times_from_now(clock, prepared.mission.ttl_ms);
    SANCTUM_CHECK(processes->spawn_agent(prepared.plan));
    ConfinedAgent& agent = *processes->agent;

    // From here on the agent is held at its gate inside its namespaces, and keys and sockets of ours cannot reach it.
    // The launcher was single-threaded until here. It gives up what it needs no longer: capabilities, exec, sockets.
    SANCTUM_TRY(ControlListener control, ControlListener::open(prepared.places.control_socket(prepared.mission.id)));
    SANCTUM_CHECK(confine_launcher());
    const std::string salt = wire::to_hex(random_bytes(kSaltBytes));
    SANCTUM_TRY(const auto vault_timeout, introduce(processes->interceptor, processes->vault, prepared, times, salt,
                                                    std::move(agent.sockets), std::move(variables), signals));
    SANCTUM_TRY(ledger::SigningKey key, load_ledger_key(prepared.places));  // while they get ready
    SANCTUM_TRY(const ReadyPeers ready, await_ready(processes->interceptor, processes->vault, vault_timeout, signals));

    // From here on the mission is on record; nothing happens that is not.
    SANCTUM_TRY(const std::unique_ptr<MissionRecord> record,
                open_record(prepared, times, salt, std::move(key), processes->witness.get(), clock));
    SANCTUM_CHECK(record->leases(ready.early_leases));
    MissionLoop loop({prepared, times, agent, processes->interceptor, processes->vault, *record, signals, terminal,
                      processes->standby, clock, static_cast<pid_t>(ready.interceptor.dialler_pid)});
    SANCTUM_CHECK(loop.begin(std::move(control)));
    if (has_unfinished_missions(prepared.places, prepared.mission.id)) {
        SANCTUM_CHECK(processes->standby.reap_earlier_missions());
    }

    Ending ending = let_agent_run(loop, agent, prepared, ready, status);

    // From here on the mission ends: injection, upstream, the tree, the leases; then what it left is looked at.
    ledger::MissionEnded ended = loop.wind_down(ending);
    report_workspace(processes->standby.care_for_workspace(kWorkspaceCareTimeout), ended, speaker);

    // From here on the record is closed.
    const Result<ledger::Sealed> sealed = record->seal(ended);
    if (processes->witness) processes->witness->dismiss();
    loop.close_control();
    processes->standby.dismiss();
    say_last_lines(speaker, prepared, *record, ending, sealed);
    return ending;
}

int print_plan(const PreparedMission& prepared, const Speaker& speaker) {
    const std::string text = profiles::explain_mission(prepared.mission) + "\n" + render_plan(prepared.plan);
    const Status written = write_all(STDOUT_FILENO, text);
    if (written) return 0;
    speaker.error("standard output: " + written.error().what);
    return kExitSetupFailed;
}

}  // namespace

int supervise(const Options& options) {
    const Speaker speaker(options.talk);
    log::open("sanctum-run", options.talk == Talk::Verbose ? log::Level::Info : log::Level::Error);
    Result<StatusLines> status = StatusLines::open(options.status_fd);
    if (!status) {
        speaker.error(status.error().what);
        return kExitSetupFailed;
    }
    const SystemClock clock;
    Result<PreparedMission> prepared = prepare_mission(options, clock);
    if (prepared && options.dry_run) return print_plan(*prepared, speaker);

    Result<Ending> ran = prepared ? run_mission(*prepared, std::move(prepared->variables), options, speaker, *status,
                                                clock)
                                  : Result<Ending>(failed_to_set_up(prepared.error().what));
    const Ending ending = ran ? *ran : failed_before_running(ran.error(), *prepared);
    if (!ending.what.empty()) speaker.error(ending.what);
    status->ended(ending);
    return ending.exit_code;
}

}  // namespace sanctum::launcher
