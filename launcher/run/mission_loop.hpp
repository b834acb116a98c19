// SPDX-License-Identifier: Apache-2.0
// The running mission: everything that can happen while the agent runs, each event in its own function, and the order
// in which everything ends.
#pragma once

#include "base/clock.hpp"
#include "launcher/confine/spawn.hpp"
#include "launcher/run/child_missions.hpp"
#include "launcher/run/child_side.hpp"
#include "launcher/run/control.hpp"
#include "launcher/run/event_loop.hpp"
#include "launcher/run/exit_codes.hpp"
#include "launcher/run/mission_record.hpp"
#include "launcher/run/peers.hpp"
#include "launcher/run/preparation.hpp"
#include "launcher/run/signals.hpp"
#include "launcher/run/standby.hpp"
#include "launcher/run/terminal.hpp"
#include "launcher/watch/watch.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <sys/epoll.h>

namespace sanctum::launcher {

/// What the loop works with; all of it outlives the loop.
struct MissionParts {
    const PreparedMission& prepared;
    const MissionTimes& times;
    ConfinedAgent& agent;
    Peer& interceptor;
    Peer& vault;
    MissionRecord& record;
    Signals& signals;
    Terminal& terminal;
    Standby& standby;
    const Clock& clock;
    pid_t dialler_pid = -1;
    ChildSide* child = nullptr;  ///< of a child mission; null: a person started this one
};

/// One mission from the moment it is on record. Single-threaded. The first end that happens is the end; later ones are
/// ignored.
class MissionLoop {
public:
    explicit MissionLoop(MissionParts parts) : parts_(parts) {}

    /// Watches peers, signals, the terminal, the clock and the ledger, and serves the control socket. From here on the
    /// mission can be seen and revoked. Errors: Io.
    [[nodiscard]] Status begin(ControlListener control);

    /// The agent's command was started: its events and its notices are served from here on.
    [[nodiscard]] Status attend_agent();

    /// Serves events until the mission has its end. Errors never come out: they are the end.
    [[nodiscard]] Ending run();

    /// Ends everything in the order that leaves nothing behind: stop injecting, close upstream, kill the tree, give
    /// back the terminal, give back the leases. What is left for the ledger's last record is returned.
    [[nodiscard]] ledger::MissionEnded wind_down(const Ending& ending);

    /// The control socket goes: those who wait for the end see it now.
    void close_control() { control_.reset(); }

    /// `running`, `stopped` or `ending`.
    [[nodiscard]] std::string_view state() const;

private:
    enum class State { Running, Stopped, Ending };

    // Events of the run (mission_loop.cpp).
    void end_with(Ending ending);
    void end_if_failed(Status status);
    void on_peer(Peer& peer);
    [[nodiscard]] Result<bool> take_one_packet(Peer& peer);
    [[nodiscard]] Status on_packet(Peer& peer, const wire::Packet& packet);
    [[nodiscard]] Status on_interceptor(const wire::Packet& packet);
    void on_peer_gone(Peer& peer);
    void on_durable();
    void flush_answers();
    void on_notices(std::uint32_t events);
    void on_init();
    void on_init_event(const InitEvent& event);
    void on_signals();
    void on_signal(int signal);
    void on_terminal_gone();
    void on_time();
    void on_parent();
    void on_client();
    void stop_with_agent(int signal);
    [[nodiscard]] std::string answer_control(const ControlRequest& request);
    [[nodiscard]] std::string revoke_service(const std::string& service);
    [[nodiscard]] bool take_service_back(const std::string& service);

    // The end (mission_end.cpp).
    void stop_interceptor(const Ending& ending);
    void retire_vault(const Ending& ending);
    void reap_leases_of_dead_vault();
    void await_children();
    void serve_until(const Peer& peer, std::chrono::milliseconds timeout);

    MissionParts parts_;
    std::optional<EventLoop> loop_;
    std::unique_ptr<ControlServer> control_;
    std::optional<Watch> watch_;
    std::unique_ptr<ChildMissions> children_;  ///< where the agent may start some
    UniqueFd timer_;
    State state_ = State::Running;
    std::optional<Ending> ending_;
    std::deque<wire::Recorded> answers_;
    std::uint32_t interceptor_events_ = EPOLLIN;  ///< what the loop watches its channel for
    std::optional<BootTime> first_term_;
};

/// The answer to `show`, one JSON object. Pure over its arguments.
[[nodiscard]] std::string describe_mission(const MissionParts& parts, std::string_view state,
                                           const std::vector<std::string>& children = {});

/// How many leases ended how, from their last known states; held ones count as parked. Pure.
void count_leases(const std::map<std::string, wire::LeaseChanged>& leases, ledger::MissionEnded& ended);

}  // namespace sanctum::launcher
