// SPDX-License-Identifier: Apache-2.0
// The spine of sanctum-run: who reads this file has read what happens to one mission, in order.
#include "launcher/run/supervisor.hpp"

#include "base/build_id.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "launcher/run/child_side.hpp"
#include "launcher/run/delegation_client.hpp"
#include "launcher/run/launcher_confinement.hpp"
#include "launcher/run/mission_loop.hpp"
#include "launcher/run/open_record.hpp"
#include "launcher/run/prepare_child.hpp"
#include "launcher/run/processes.hpp"
#include "launcher/run/status.hpp"
#include "launcher/run/summary.hpp"
#include "profiles/schema/delegated.hpp"
#include "profiles/schema/resolve.hpp"

#include <unistd.h>
#include <variant>

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
    // Where it lies outside is nothing that an agent may ask for.
    if (!prepared.mission.parent.empty()) return explain_exec_failure_inside(error, prepared.plan);
    return explain_exec_failure(error, prepared);
}

// What a run works with besides its mission.
struct RunParts {
    UniqueFd variables;
    Talk talk = Talk::Normal;
    const Speaker& speaker;
    StatusLines& status;
    const Clock& clock;
    ChildSide* child = nullptr;  // null: not a child mission
};

// From a loop that is watching everything to the end of the command.
Ending let_agent_run(MissionLoop& loop, ConfinedAgent& agent, const PreparedMission& prepared, const ReadyPeers& ready,
                     RunParts& parts) {
    const std::string policy = profiles::policy_json(prepared.mission);
    if (const Status released = release(agent, prepared.plan, ready.interceptor.ca_pem, policy); !released) {
        return failed_before_running(released.error(), prepared);
    }
    // From here on the command runs, and whatever goes wrong is an end of the mission and no failed set-up.
    parts.status.started(prepared.mission.id, agent.agent_pid);
    if (parts.child != nullptr) parts.child->tell_started(prepared.mission.id);
    if (const Status attended = loop.attend_agent(); !attended) return ended_by_loss(attended.error().what);
    return loop.run();
}

Result<Ending> run_mission(const PreparedMission& prepared, RunParts parts) {
    const Clock& clock = parts.clock;
    // From here on signals are events, and the terminal's modes are remembered.
    SANCTUM_TRY(Signals signals, Signals::block());
    Terminal terminal = Terminal::open();

    // From here on processes of ours exist; none of them outlives this function but a vault with work left.
    SANCTUM_TRY(const std::unique_ptr<Processes> processes, Processes::start(prepared, parts.talk));
    const MissionTimes times = times_from_now(clock, prepared.mission.ttl_ms);
    const StandardDescriptors standard = parts.child == nullptr ? kOwnDescriptors : parts.child->standard();
    SANCTUM_CHECK(processes->spawn_agent(prepared.plan, standard));
    if (parts.child != nullptr) parts.child->drop_standard();
    ConfinedAgent& agent = *processes->agent;

    // From here on the agent is held at its gate inside its namespaces, and keys and sockets of ours cannot reach it.
    // The launcher was single-threaded until here. It gives up what it needs no longer: capabilities, exec, sockets.
    SANCTUM_TRY(ControlListener control, ControlListener::open(prepared.places.control_socket(prepared.mission.id)));
    SANCTUM_CHECK(confine_launcher());
    const std::string salt = wire::to_hex(random_bytes(kSaltBytes));
    SANCTUM_TRY(const auto vault_timeout, introduce(processes->interceptor, processes->vault, prepared, times, salt,
                                                    std::move(agent.sockets), std::move(parts.variables),
                                                    signals));
    SANCTUM_TRY(ledger::SigningKey key, load_ledger_key(prepared.places));  // while they get ready
    SANCTUM_TRY(const ReadyPeers ready, await_ready(processes->interceptor, processes->vault, vault_timeout, signals));

    // From here on the mission is on record; nothing happens that is not.
    SANCTUM_TRY(const std::unique_ptr<MissionRecord> record,
                open_record(prepared, times, salt, std::move(key), processes->witness.get(), clock));
    SANCTUM_CHECK(record->leases(ready.early_leases));
    MissionLoop loop({prepared, times, agent, processes->interceptor, processes->vault, *record, signals, terminal,
                      processes->standby, clock, static_cast<pid_t>(ready.interceptor.dialler_pid), parts.child});
    SANCTUM_CHECK(loop.begin(std::move(control)));
    if (has_unfinished_missions(prepared.places, prepared.mission.id)) {
        SANCTUM_CHECK(processes->standby.reap_earlier_missions());
    }

    Ending ending = let_agent_run(loop, agent, prepared, ready, parts);

    // From here on the mission ends: injection, upstream, the tree, the leases; then what it left is looked at.
    ledger::MissionEnded ended = loop.wind_down(ending);
    // A child's workspace is its parent's, whose agent may still be at work there: the parent's end cares for it.
    if (parts.child == nullptr) {
        report_workspace(processes->standby.care_for_workspace(kWorkspaceCareTimeout), ended, parts.speaker);
    }

    // From here on the record is closed.
    const Result<ledger::Sealed> sealed = record->seal(ended);
    if (processes->witness) processes->witness->dismiss();
    loop.close_control();
    processes->standby.dismiss();
    if (!sealed) ending = ended_unsealed(ending, sealed.error().what);
    say_last_lines(parts.speaker, prepared, *record, ending, sealed);
    if (parts.child != nullptr && sealed) parts.child->note_receipt(sealed->receipt_path);
    return ending;
}

int print_plan(const PreparedMission& prepared, const Speaker& speaker) {
    const std::string text = profiles::explain_mission(prepared.mission) + "\n" + render_plan(prepared.plan);
    const Status written = write_all(STDOUT_FILENO, text);
    if (written) return 0;
    speaker.error("standard output: " + written.error().what);
    return kExitSetupFailed;
}

// What the child would run, for the parent's record.
wire::ChildOffered offer_of(const PreparedMission& prepared, const ParentFile& parent) {
    const profiles::Mission& mission = prepared.mission;
    return {mission.id, mission.name, mission.profile_sha256, prepared.plan.command,
            profiles::budget_shares(mission, parent.mission)};
}

// Of a set-up that failed the agent hears no more than that; of its command and of its own end everything.
std::string for_the_agent(const Ending& ending) {
    const bool is_secret = ending.reason == EndReason::Lost ||
                           (ending.reason == EndReason::Setup && ending.exit_code == kExitSetupFailed);
    if (is_secret) return "the child mission failed outside of its sandbox; the parent's record says why";
    return ending.what;
}

// The request, checked and planned; or what both ends are told instead.
std::variant<PreparedMission, ChildRefusal> prepare_for(ChildSide& side, const Clock& clock) {
    const Result<ChildRequest> request = side.await_request();
    if (!request) {
        const char* reason = request.error().code == Errc::Denied ? "descriptor" : "request";
        return ChildRefusal{reason, request.error().what, request.error().what};
    }
    return prepare_child_mission(*request, side.parent(), clock);
}

}  // namespace

int supervise_child() {
    log::open("sanctum-run", log::Level::Error);
    Result<std::unique_ptr<ChildSide>> opened = ChildSide::open();
    if (!opened) {
        Speaker(Talk::Quiet).error(opened.error().what);
        return kExitSetupFailed;
    }
    ChildSide& side = **opened;
    const SystemClock clock;
    std::variant<PreparedMission, ChildRefusal> result = prepare_for(side, clock);
    if (const ChildRefusal* refusal = std::get_if<ChildRefusal>(&result)) {
        side.refuse(*refusal);
        return kExitSetupFailed;
    }
    auto& prepared = std::get<PreparedMission>(result);
    // From here on the parent's record names this mission; until it does, nothing of it exists.
    if (const auto admitted = side.offer(offer_of(prepared, side.parent())); !admitted) {
        side.turn_away(admitted.error().what);
        return kExitSetupFailed;
    }
    const Speaker speaker(Talk::Quiet);
    Result<StatusLines> status = StatusLines::open(-1);
    Result<Ending> ran = status ? run_mission(prepared, {std::move(prepared.variables), Talk::Quiet, speaker, *status,
                                                         clock, &side})
                                : Result<Ending>(status.error());
    const Ending ending = ran ? *ran : failed_before_running(ran.error(), prepared);
    side.tell_ended(prepared.mission.id, ending, for_the_agent(ending));
    return ending.exit_code;
}

int supervise(const Options& options) {
    const Speaker speaker(options.talk);
    log::open("sanctum-run", options.talk == Talk::Verbose ? log::Level::Info : log::Level::Error);
    Result<StatusLines> status = StatusLines::open(options.status_fd);
    if (!status) {
        speaker.error(status.error().what);
        return kExitSetupFailed;
    }
    if (const auto environment = environment_of_this_process(); !mission_around(environment).empty()) {
        const Ending ending = run_child_mission(options, environment, *status);
        if (!ending.what.empty()) speaker.error(ending.what);
        status->ended(ending);
        return ending.exit_code;
    }
    const SystemClock clock;
    Result<PreparedMission> prepared = prepare_mission(options, clock);
    const std::string outside = prepared ? repository_outside(prepared->mission.sandbox) : std::string();
    if (!outside.empty()) speaker.say(outside);
    if (prepared && options.dry_run) return print_plan(*prepared, speaker);

    Result<Ending> ran = prepared ? run_mission(*prepared, {std::move(prepared->variables), options.talk, speaker,
                                                            *status, clock, nullptr})
                                  : Result<Ending>(failed_to_set_up(prepared.error().what));
    const Ending ending = ran ? *ran : failed_before_running(ran.error(), *prepared);
    if (!ending.what.empty()) speaker.error(ending.what);
    status->ended(ending);
    return ending.exit_code;
}

}  // namespace sanctum::launcher
