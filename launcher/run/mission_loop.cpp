// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/mission_loop.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"

#include <cerrno>
#include <csignal>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utility>

namespace sanctum::launcher {
namespace {

Result<UniqueFd> make_timer(std::int64_t boot_ms) {
    UniqueFd timer(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!timer) return io_error("timerfd_create");
    itimerspec when{};
    when.it_value.tv_sec = boot_ms / 1000;
    when.it_value.tv_nsec = (boot_ms % 1000) * 1'000'000;
    if (::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) return io_error("timerfd_settime");
    return timer;
}

}  // namespace

Status MissionLoop::begin(ControlListener control) {
    SANCTUM_TRY(loop_, EventLoop::create());
    for (Peer* peer : {&parts_.interceptor, &parts_.vault}) {
        const auto on_message = [this, peer](std::uint32_t) { on_peer(*peer); };
        SANCTUM_CHECK(loop_->watch(peer->process.channel.fd(), EPOLLIN, on_message));
        SANCTUM_CHECK(loop_->watch(peer->process.pidfd.get(), EPOLLIN, [this, peer](std::uint32_t) {
            on_peer(*peer);
            on_peer_gone(*peer);
        }));
    }
    SANCTUM_CHECK(loop_->watch(parts_.record.durable_fd(), EPOLLIN, [this](std::uint32_t) { on_durable(); }));
    SANCTUM_CHECK(loop_->watch(parts_.signals.fd(), EPOLLIN, [this](std::uint32_t) { on_signals(); }));
    if (parts_.terminal.is_there()) {
        SANCTUM_CHECK(loop_->watch(parts_.terminal.fd(), 0, [this](std::uint32_t) { on_terminal_gone(); }));
    }
    SANCTUM_TRY(timer_, make_timer(parts_.times.ends_boot_ms));
    SANCTUM_CHECK(loop_->watch(timer_.get(), EPOLLIN, [this](std::uint32_t) { on_time(); }));
    if (parts_.child != nullptr) {
        SANCTUM_CHECK(loop_->watch(parts_.child->parent_fd(), EPOLLIN, [this](std::uint32_t) { on_parent(); }));
        SANCTUM_CHECK(loop_->watch(parts_.child->client_fd(), EPOLLIN, [this](std::uint32_t) { on_client(); }));
    }
    SANCTUM_TRY(control_, ControlServer::open(std::move(control), *loop_, [this](const ControlRequest& request) {
        return answer_control(request);
    }));
    return {};
}

Status MissionLoop::attend_agent() {
    SANCTUM_CHECK(loop_->watch(parts_.agent.events.get(), EPOLLIN, [this](std::uint32_t) { on_init(); }));
    SANCTUM_CHECK(loop_->watch(parts_.agent.init_pidfd.get(), EPOLLIN, [this](std::uint32_t) { on_init(); }));
    if (parts_.agent.delegation) {
        SANCTUM_TRY(children_, ChildMissions::open(std::move(parts_.agent.delegation),
                                                   {parts_.prepared, parts_.times.ends_boot_ms, *loop_, parts_.record,
                                                    parts_.standby, parts_.interceptor,
                                                    [this](Status status) { end_if_failed(std::move(status)); }}));
    }
    if (!parts_.agent.notify) return {};
    watch_.emplace(std::move(parts_.agent.notify), parts_.agent.init_pid, parts_.prepared.plan.ports);
    return loop_->watch(watch_->fd(), EPOLLIN, [this](std::uint32_t events) { on_notices(events); });
}

Ending MissionLoop::run() {
    while (!ending_) end_if_failed(loop_->turn(std::chrono::milliseconds(-1)));
    return *ending_;
}

std::string_view MissionLoop::state() const {
    if (state_ == State::Ending || ending_) return "ending";
    return state_ == State::Stopped ? "stopped" : "running";
}

void MissionLoop::end_with(Ending ending) {
    if (!ending_) ending_ = std::move(ending);
}

void MissionLoop::end_if_failed(Status status) {
    if (!status) end_with(ended_by_loss(std::move(status).error().what));
}

void MissionLoop::on_peer(Peer& peer) {
    // What is left of a datagram belongs to this turn: nothing would wake us for it.
    const auto may_go_on = [&](std::size_t turn) {
        return peer.process.channel.is_open() && (turn < kPacketsPerTurnMax || peer.process.channel.has_unread());
    };
    const ledger::Gathering gathering = parts_.record.gather();
    for (std::size_t turn = 0; may_go_on(turn); ++turn) {
        const Result<bool> took = take_one_packet(peer);
        if (!took) {
            // Out of order, damaged or failed: nothing more is taken from this peer, and no mission goes on without it.
            end_with(ended_by_loss(took.error().what));
            loop_->forget(peer.process.channel.fd());
            peer.process.channel.close();
            return;
        }
        if (!*took) break;
    }
    if (peer.process.channel.is_open()) flush_answers();
}

Result<bool> MissionLoop::take_one_packet(Peer& peer) {
    auto received = peer.process.channel.receive();
    if (!received && received.error().code == Errc::Cancelled) {
        if (peer.protocol.state() != PeerState::Done) {
            return Error{Errc::Cancelled, "the " + peer.process.role + " ended unexpectedly"};
        }
        loop_->forget(peer.process.channel.fd());
        peer.process.channel.close();
        return false;
    }
    if (!received) return std::move(received).error().in(peer.process.role);
    if (!*received) return false;
    SANCTUM_CHECK(peer.protocol.accept(**received));
    SANCTUM_CHECK(on_packet(peer, **received));
    return true;
}

Status MissionLoop::on_packet(Peer& peer, const wire::Packet& packet) {
    if (&peer == &parts_.interceptor) return on_interceptor(packet);
    if (packet.kind != wire::Kind::LeaseChanged) return {};  // retired: the protocol has moved on
    SANCTUM_TRY(wire::LeaseChanged lease, packet.as<wire::LeaseChanged>());
    return parts_.record.lease(std::move(lease));
}

Status MissionLoop::on_interceptor(const wire::Packet& packet) {
    switch (packet.kind) {
        case wire::Kind::ConnectionOpened: {
            SANCTUM_TRY(const wire::ConnectionOpened opened, packet.as<wire::ConnectionOpened>());
            return parts_.record.opened(opened, watch_ ? watch_->take_claim(opened.cookie) : std::nullopt);
        }
        case wire::Kind::ConnectionRefused: {
            SANCTUM_TRY(wire::ConnectionRefused refused, packet.as<wire::ConnectionRefused>());
            return parts_.record.attempted(
                {std::move(refused.dialled), std::move(refused.reason), std::nullopt, refused.connection});
        }
        case wire::Kind::ExchangeIntent: {
            SANCTUM_TRY(wire::ExchangeIntent intent, packet.as<wire::ExchangeIntent>());
            return parts_.record.intent(std::move(intent));
        }
        case wire::Kind::ExchangeRefused: {
            SANCTUM_TRY(wire::ExchangeRefused refused, packet.as<wire::ExchangeRefused>());
            return parts_.record.refused(std::move(refused));
        }
        case wire::Kind::ExchangeOutcome: {
            SANCTUM_TRY(wire::ExchangeOutcome outcome, packet.as<wire::ExchangeOutcome>());
            return parts_.record.outcome(std::move(outcome));
        }
        case wire::Kind::Ask: {
            SANCTUM_TRY(const wire::Ask ask, packet.as<wire::Ask>());
            const wire::Answer answer{ask.exchange, "approval_unavailable", "", ask.digest};
            return parts_.interceptor.process.channel.send(answer);
        }
        case wire::Kind::BudgetShared: {
            SANCTUM_TRY(const wire::BudgetShared shared, packet.as<wire::BudgetShared>());
            if (!children_) return Error{Errc::Protocol, "interceptor: shares a budget with nobody"};
            children_->on_budget_shared(shared);
            return {};
        }
        default: return {};  // stopped, withdraw: the protocol has judged them
    }
}

void MissionLoop::on_peer_gone(Peer& peer) {
    loop_->forget(peer.process.pidfd.get());
    static_cast<void>(wait_for_end(peer.process, std::chrono::milliseconds(0)));
    if (peer.protocol.state() != PeerState::Done) {
        end_with(ended_by_loss("the " + peer.process.role + " ended unexpectedly, so the mission was ended"));
    }
}

void MissionLoop::on_durable() {
    for (const ledger::Durable& durable : parts_.record.poll_durable()) answers_.push_back({durable.token, durable.ok});
    end_if_failed(parts_.record.check_ledger());
    flush_answers();
}

void MissionLoop::flush_answers() {
    wire::Channel& channel = parts_.interceptor.process.channel;
    if (!channel.is_open()) return answers_.clear();
    while (!answers_.empty()) {
        const Result<bool> sent = channel.try_send(answers_.front());
        if (!sent) return on_peer_gone(parts_.interceptor);
        if (!*sent) break;
        answers_.pop_front();
    }
    const std::uint32_t wanted = answers_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
    if (wanted == std::exchange(interceptor_events_, wanted)) return;
    end_if_failed(loop_->watch(channel.fd(), wanted, [this](std::uint32_t) { on_peer(parts_.interceptor); }));
}

void MissionLoop::on_notices(std::uint32_t events) {
    // Hung up without a notice: nobody lives any more whose calls would be noticed. Watched on, it would wake the loop
    // without pause until init has told the end.
    if ((events & EPOLLIN) == 0) return loop_->forget(watch_->fd());
    Result<std::vector<ledger::ConnectionRefused>> attempts = watch_->answer_notices();
    if (!attempts) return end_with(ended_by_loss(attempts.error().what));
    for (ledger::ConnectionRefused& attempt : *attempts) end_if_failed(parts_.record.attempted(std::move(attempt)));
}

void MissionLoop::on_init() {
    while (!ending_) {
        const Result<std::optional<InitEvent>> event = next_event(parts_.agent);
        if (!event) return end_with(ended_by_loss("the sandbox ended unexpectedly (" + event.error().what + ")"));
        if (!*event) return;
        on_init_event(**event);
    }
}

void MissionLoop::on_init_event(const InitEvent& event) {
    switch (event.what) {
        case InitEvent::What::Exited: return end_with(ended_by_exit(event.value));
        case InitEvent::What::Signalled: return end_with(ended_by_signal(event.value));
        case InitEvent::What::TimeRanOut: return end_with(ended_by_time());
        case InitEvent::What::Stopped: return stop_with_agent(event.value);
        case InitEvent::What::Started:
        case InitEvent::What::Continued: return;
        case InitEvent::What::SetupFailed:
        case InitEvent::What::ExecFailed:
            return end_with(ended_by_loss("the sandbox reported a failed step (" + event.step + ") while running"));
    }
}

void MissionLoop::on_signals() {
    while (const std::optional<int> signal = parts_.signals.next()) on_signal(*signal);
}

void MissionLoop::on_signal(int signal) {
    if (signal == SIGCHLD) return;  // ends are seen through pidfds
    if (signal == SIGTERM) {
        const BootTime now = parts_.clock.boot();
        if (first_term_ && now.ms - first_term_->ms <= std::chrono::milliseconds(kSecondTermWindow).count()) {
            return end_with(ended_by_signal(SIGTERM));
        }
        first_term_ = now;
    }
    if (signal == SIGCONT) parts_.terminal.lend(parts_.agent.agent_pid);
    // TSTP too: the agent decides whether it stops, and if it does, we follow (stop_with_agent).
    if (!order(parts_.agent, InitOrder::Forward, signal)) on_init();
}

void MissionLoop::on_terminal_gone() {
    loop_->forget(parts_.terminal.fd());
    end_with(ended_by_signal(SIGHUP));
}

void MissionLoop::on_time() {
    loop_->forget(timer_.get());
    end_with(ended_by_time());
}

void MissionLoop::on_parent() {
    for (;;) {
        const Result<std::optional<wire::Packet>> packet = parts_.child->next_from_parent();
        if (packet && !*packet) return;
        if (packet && (*packet)->kind == wire::Kind::RevokeService) {
            const Result<wire::RevokeService> revoked = (*packet)->as<wire::RevokeService>();
            if (revoked && !take_service_back(revoked->service)) return;
            continue;
        }
        // Told to end; or the parent is gone, however that came; or it says what a parent never says.
        loop_->forget(parts_.child->parent_fd());
        return end_with(ended_by_revocation("its parent mission ended"));
    }
}

void MissionLoop::on_client() {
    // An agent that sends without pause gets its turn and no more.
    for (std::size_t turn = 0; turn < kPacketsPerTurnMax; ++turn) {
        const Result<std::optional<int>> signal = parts_.child->next_signal();
        if (signal && !*signal) return;
        if (signal) {
            if (!order(parts_.agent, InitOrder::Forward, **signal)) return on_init();
            continue;
        }
        // Who asked for this mission is gone, as if its terminal had hung up; where its whole mission is, that comes
        // first.
        loop_->forget(parts_.child->client_fd());
        on_parent();
        return end_with(ended_by_signal(SIGHUP));
    }
}

void MissionLoop::stop_with_agent(int signal) {
    if (parts_.child != nullptr) return;  // nobody's job: no shell would continue us
    state_ = State::Stopped;
    // Frozen first: while we are stopped nobody answers notices or writes the record, so nobody may need it. Init's own
    // timer still ends the tree in time.
    if (!order(parts_.agent, InitOrder::Freeze, 0)) return on_init();
    parts_.terminal.take_back();
    stop_own_group(signal);
    // Continued: by fg (we have the terminal and lend it again), by bg, or by somebody who is about to revoke.
    parts_.terminal.lend(parts_.agent.agent_pid);
    state_ = State::Running;
    if (!order(parts_.agent, InitOrder::Thaw, 0)) on_init();
}

bool MissionLoop::take_service_back(const std::string& service) {
    const std::vector<profiles::Service>& services = parts_.prepared.mission.services;
    const auto is_it = [&](const profiles::Service& one) { return one.name == service; };
    if (std::none_of(services.begin(), services.end(), is_it)) return true;  // a child need not have it
    // Where it is refused first, then where it is given back: nobody gets a new lease in between.
    const wire::RevokeService message{service};
    for (Peer* peer : {&parts_.interceptor, &parts_.vault}) {
        // FAIL-CLOSED: who cannot be told of it does not go on.
        end_if_failed(peer->process.channel.send(message));
    }
    if (children_) children_->revoke_service(service);
    return !ending_;
}

std::string MissionLoop::revoke_service(const std::string& service) {
    const std::vector<profiles::Service>& services = parts_.prepared.mission.services;
    const auto is_it = [&](const profiles::Service& one) { return one.name == service; };
    if (std::none_of(services.begin(), services.end(), is_it)) {
        std::string names;
        for (const profiles::Service& one : services) names += (names.empty() ? "" : ", ") + one.name;
        return control_error("this mission has no such service" + (names.empty() ? "" : "; it has " + names));
    }
    if (state_ == State::Ending || ending_) return control_error("the mission is ending");
    if (!take_service_back(service)) {
        return control_error("it could not be taken back alone, so the whole mission ends");
    }
    std::string line = "{\"v\":1,\"ok\":true,\"mission\":";
    wire::append_json_string(line, parts_.prepared.mission.id);
    line += ",\"service\":";
    wire::append_json_string(line, service);
    return line + "}";
}

std::string MissionLoop::answer_control(const ControlRequest& request) {
    if (request.what == ControlRequest::What::Show) {
        return describe_mission(parts_, state(), children_ ? children_->running() : std::vector<std::string>());
    }
    if (request.what == ControlRequest::What::RevokeService) return revoke_service(request.service);
    end_with(ended_by_revocation(request.reason));
    std::string line = "{\"v\":1,\"ok\":true,\"mission\":";
    wire::append_json_string(line, parts_.prepared.mission.id);
    return line + ",\"state\":\"ending\"}";
}

}  // namespace sanctum::launcher
