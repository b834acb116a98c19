// SPDX-License-Identifier: Apache-2.0
// The end of a mission, in the order that leaves nothing behind.
#include "base/limits.hpp"
#include "launcher/run/lease_lines.hpp"
#include "launcher/run/mission_loop.hpp"

#include <algorithm>

namespace sanctum::launcher {

ledger::MissionEnded MissionLoop::wind_down(const Ending& ending) {
    state_ = State::Ending;
    ending_ = ending;
    if (children_) children_->end_all("its parent mission ended");  // while everything below goes on
    stop_interceptor(ending);  // nothing is injected any more, upstream is closed
    // The tree is watched no longer: what it does from here on ends with it.
    if (watch_) loop_->forget(watch_->fd());
    loop_->forget(parts_.agent.events.get());
    loop_->forget(parts_.agent.init_pidfd.get());
    kill_tree(parts_.agent);
    watch_.reset();
    const bool ended_by_itself = ending.reason == EndReason::Exit;
    parts_.terminal.give_back(ended_by_itself ? Terminal::Modes::Keep : Terminal::Modes::Restore);
    retire_vault(ending);
    await_children();
    ledger::MissionEnded ended;
    ended.reason = name_of(ending.reason);
    ended.code = ending.exit_code;
    count_leases(parts_.record.last_leases(), ended);
    return ended;
}

void MissionLoop::stop_interceptor(const Ending& ending) {
    Peer& peer = parts_.interceptor;
    const std::chrono::milliseconds drain = ending.reason == EndReason::Exit ? kDrainAfterExit : kDrainAtOnce;
    if (peer.process.channel.is_open() && peer.protocol.state() == PeerState::Serving) {
        peer.protocol.ask_to_stop();
        if (peer.process.channel.send(wire::Stop{drain.count()})) serve_until(peer, drain + kStopGrace);
    }
    loop_->forget(peer.process.channel.fd());
    loop_->forget(peer.process.pidfd.get());
    peer.process.channel.close();
    // One that said `stopped` has closed everything; while it leaves, the mission's end goes on (~Processes waits).
    if (peer.protocol.state() == PeerState::Done) return;
    if (!wait_for_end(peer.process, kStopGrace)) kill_program(peer.process);
}

void MissionLoop::retire_vault(const Ending& ending) {
    Peer& peer = parts_.vault;
    if (peer.process.channel.is_open() && peer.protocol.state() == PeerState::Serving) {
        peer.protocol.ask_to_stop();
        const wire::Retire retire{std::string(name_of(ending.reason))};
        if (peer.process.channel.send(retire)) serve_until(peer, kRetireTimeout);
    }
    loop_->forget(peer.process.channel.fd());
    loop_->forget(peer.process.pidfd.get());
    peer.process.channel.close();
    // A vault that needs longer goes on alone: it ignores our end and its journal has every lease. One that died is
    // finished by its reaper.
    const bool has_died = peer.protocol.state() != PeerState::Done && wait_for_end(peer.process, kVaultLeaveTimeout);
    if (has_died) reap_leases_of_dead_vault();
}

void MissionLoop::await_children() {
    if (!children_) return;
    const BootTime deadline = parts_.clock.boot().plus(kChildEndTimeout);
    while (!children_->is_empty()) {
        const std::int64_t left = deadline.ms - parts_.clock.boot().ms;
        if (left <= 0 || !loop_->turn(std::chrono::milliseconds(left))) break;
    }
    children_->give_up();
}

void MissionLoop::reap_leases_of_dead_vault() {
    const Result<std::string> lines = parts_.standby.reap_leases(kRetireTimeout);
    if (!lines) {
        std::string why = "the vault died, and how its leases ended is not known: ";
        why += lines.error().what;
        return parts_.record.leave_to_reaper({lines.error().code, std::move(why)});
    }
    for (wire::LeaseChanged& lease : lease_ends_in(*lines, parts_.prepared.mission.id)) {
        if (!parts_.record.lease(std::move(lease))) return;
    }
}

void MissionLoop::serve_until(const Peer& peer, std::chrono::milliseconds timeout) {
    const BootTime deadline = parts_.clock.boot().plus(timeout);
    while (peer.process.channel.is_open() && peer.protocol.state() != PeerState::Done) {
        const std::int64_t left = deadline.ms - parts_.clock.boot().ms;
        if (left <= 0 || !loop_->turn(std::chrono::milliseconds(left))) return;
    }
}

void count_leases(const std::map<std::string, wire::LeaseChanged>& leases, ledger::MissionEnded& ended) {
    for (const auto& [id, lease] : leases) {
        if (lease.state == "gone") ++ended.gone;
        else if (lease.state == "expired") ++ended.expired;
        else if (lease.state == "orphaned") ++ended.orphaned;
        else ++ended.parked;
    }
}

}  // namespace sanctum::launcher
