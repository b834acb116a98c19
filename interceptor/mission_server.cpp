// SPDX-License-Identifier: Apache-2.0
#include "interceptor/mission_server.hpp"

#include "base/limits.hpp"
#include "base/log.hpp"
#include "profiles/policy/warm_needs.hpp"

#include <algorithm>
#include <limits>

namespace sanctum::interceptor {
namespace {

// Their numbers count down from the largest: no exchange has them, and none is on record.
std::vector<wire::LeaseNeed> needs_ahead(const Start& start) {
    std::vector<wire::LeaseNeed> needs;
    for (profiles::WarmNeed& warm : profiles::warm_needs(start.mission, start.catalog)) {
        wire::LeaseNeed need;
        need.exchange = std::numeric_limits<std::uint64_t>::max() - needs.size();
        need.service = std::move(warm.service);
        need.scopes = std::move(warm.scopes);
        need.resources = std::move(warm.resources);
        need.risk = profiles::name_of(warm.risk);
        needs.push_back(std::move(need));
    }
    return needs;
}

}  // namespace

Result<std::unique_ptr<MissionServer>> MissionServer::create(Loop& loop, Start start, wire::Channel launcher,
                                                             wire::Channel dialler,
                                                             const network::RootCertificates& roots) {
    const SystemClock clock;
    // The CA ends with the mission, a second later at most (certificates know no parts of a second).
    const WallTime now = clock.wall();
    const WallTime ends{now.unix_ms + std::max<std::int64_t>(start.ends_boot_ms - clock.boot().ms, 0) + 1000};
    SANCTUM_TRY(MissionCa made, MissionCa::create(start.mission_id, now, ends));
    Tls tls;
    tls.ca = std::make_unique<MissionCa>(std::move(made));
    SANCTUM_TRY(tls.agent, AgentTls::create(*tls.ca));
    SANCTUM_TRY(tls.upstream, network::UpstreamTls::create(start.upstream.ca_pem, roots, start.upstream.pinned));
    return std::unique_ptr<MissionServer>(new MissionServer(loop, std::move(start), std::move(launcher),
                                                            std::move(dialler), std::move(tls)));
}

MissionServer::MissionServer(Loop& loop, Start start, wire::Channel launcher, wire::Channel dialler, Tls tls)
    : loop_(loop),
      start_(std::move(start)),
      entries_(profiles::dial_entries(start_.mission)),
      tls_(std::move(tls)),
      launcher_(loop, std::move(launcher)),
      vault_(loop, wire::Channel(std::move(start_.vault))),
      dialler_(loop, std::move(dialler)),
      recorder_(loop, launcher_, [this](const Error& error) { give_up(error); }),
      leases_(loop, vault_, start_.mission, clock_, [this](const std::string& id) { upstreams_.drop_lease(id); }),
      upstreams_(loop, entries_, dialler_, *tls_.upstream,
                 [this](const std::string& id) { return leases_.is_live(id); }),
      budgets_(start_.mission.budgets),
      services_{start_.mission, start_.catalog, entries_, recorder_, leases_, upstreams_, clock_,
                start_.salt,    budgets_,       false,    nullptr},
      dns_(loop, addresses_),
      gate_(loop, raise_descriptor_limit()),
      door_(loop, gate_, addresses_, *tls_.agent, std::move(start_.sock_diag), services_),
      end_(loop) {
    // Names of the mission get their addresses first, so that they are the same in every run of a profile.
    for (const profiles::DialEntry& entry : entries_) {
        if (!entry.name.starts_with("*.")) static_cast<void>(addresses_.address_of(entry.name));
    }
}

Status MissionServer::serve(std::uint64_t dialler_pid) {
    for (UniqueFd& socket : start_.dns_udp) {
        SANCTUM_CHECK(dns_.add_udp(std::move(socket)));
    }
    for (UniqueFd& listener : start_.dns_tcp) dns_.add_tcp(std::move(listener));
    for (UniqueFd& listener : start_.listeners) {
        acceptors_.emplace_back(loop_, gate_, std::move(listener),
                                [this](AcceptedSocket socket) { door_.admit(std::move(socket)); });
        loop_.spawn(acceptors_.back().run());
    }
    loop_.spawn(hear_launcher());
    loop_.spawn(hear_vault());
    loop_.spawn(hear_dialler());
    loop_.spawn(watch_end_of_mission());
    for (wire::LeaseNeed& need : needs_ahead(start_)) loop_.spawn(warm_up(std::move(need)));
    const Result<std::uint64_t> ready = launcher_.send(wire::InterceptorReady{ca_pem(), dialler_pid});
    return ready ? Status() : Status(ready.error());
}

net::awaitable<void> MissionServer::warm_up(wire::LeaseNeed need) {
    const auto lease = co_await leases_.need(need);
    if (!lease) log::info("no credential for " + need.service + " ahead of its first request: " + lease.error().what);
}

net::awaitable<void> MissionServer::hear_launcher() {
    for (;;) {
        const Result<wire::Packet> packet = co_await launcher_.receive();
        if (is_closed_) co_return;
        const Status taken = packet ? take_from_launcher(*packet) : Status(packet.error());
        if (taken) continue;
        // The launcher is gone, or not itself any more: nothing may go out from here on.
        log::info("the launcher's channel ended: " + taken.error().what);
        close_all();
        co_return;
    }
}

Status MissionServer::take_from_launcher(const wire::Packet& packet) {
    if (packet.kind == wire::Kind::Recorded) {
        SANCTUM_TRY(const wire::Recorded message, packet.as<wire::Recorded>());
        return recorder_.recorded(message);
    }
    if (packet.kind == wire::Kind::RevokeService) {
        SANCTUM_TRY(const wire::RevokeService message, packet.as<wire::RevokeService>());
        return revoke(message.service);
    }
    if (packet.kind == wire::Kind::ShareBudget) {
        SANCTUM_TRY(const wire::ShareBudget message, packet.as<wire::ShareBudget>());
        return share_budget(message);
    }
    SANCTUM_TRY(const wire::Stop message, packet.as<wire::Stop>());
    if (is_stopping_) return {};
    is_stopping_ = true;
    loop_.spawn(stop(std::chrono::milliseconds(std::max<std::int64_t>(message.drain_ms, 0))));
    return {};
}

Status MissionServer::share_budget(const wire::ShareBudget& message) {
    if (message.shares.size() != start_.mission.budgets.size()) {
        return Error{Errc::Protocol, "the launcher shares budget lines that are not there"};
    }
    wire::BudgetShared answer{message.child, -1, 0};
    if (const auto line = budgets_.share(message.shares, clock_.boot())) {
        answer.short_line = static_cast<std::int64_t>(*line);
        answer.left = budgets_.left(*line, clock_.boot());
    }
    const Result<std::uint64_t> sent = launcher_.send(answer);
    return sent ? Status() : Status(sent.error());
}

Status MissionServer::revoke(const std::string& service) {
    const auto& services = start_.mission.services;
    const auto found = std::find_if(services.begin(), services.end(),
                                    [&](const profiles::Service& one) { return one.name == service; });
    if (found == services.end()) return Error{Errc::Protocol, "the launcher revoked a service that is not there"};
    services_.revoked.revoke(static_cast<int>(found - services.begin()));
    return {};
}

net::awaitable<void> MissionServer::hear_vault() {
    for (;;) {
        Result<wire::Packet> packet = co_await vault_.receive();
        if (is_closed_) co_return;
        if (!packet && packet.error().code == Errc::Cancelled) {
            // The launcher ends the mission; until then nothing is injected.
            log::info("the vault has closed: no credential is injected any more");
            leases_.close();
            co_return;
        }
        const Status taken = packet ? leases_.take(std::move(*packet)) : Status(packet.error());
        if (taken) continue;
        give_up(taken.error());
        co_return;
    }
}

net::awaitable<void> MissionServer::hear_dialler() {
    const Status ended = co_await dialler_.serve();
    if (!is_closed_ && !ended) give_up(Error(ended.error()).in("dialler"));
}

net::awaitable<void> MissionServer::watch_end_of_mission() {
    // The boot clock counts suspend and timers here do not: look again every now and then.
    constexpr std::int64_t kLookAgainMs = 10'000;
    while (!is_closed_) {
        const std::int64_t left = start_.ends_boot_ms - clock_.boot().ms;
        if (left <= 0) {
            refuse_new();
            leases_.close();
            co_return;
        }
        const Status waited = co_await end_.wait(std::chrono::milliseconds(std::min(left, kLookAgainMs)));
        if (waited) co_return;
    }
}

net::awaitable<void> MissionServer::stop(std::chrono::milliseconds drain) {
    refuse_new();
    co_await recorder_.wait_idle(drain);
    loop_.close_everything();
    // Each connection now ends by itself and says how its exchange ended.
    const auto give_up_at = std::chrono::steady_clock::now() + kShutdownTimeout;
    while (gate_.open() > 0 && std::chrono::steady_clock::now() < give_up_at) {
        co_await gate_.wait_for_change(kAcceptPause);
        loop_.close_everything();
    }
    leases_.close();
    // Before the launcher tells the vault to give everything back: what was used is counted by then.
    const Status told = vault_.flush();
    if (!told) log::info("the vault was not told of the last uses: " + told.error().what);
    const Result<std::uint64_t> sent = launcher_.send(wire::Stopped{recorder_.exchanges()});
    const Status flushed = launcher_.flush();
    if (sent && flushed) exit_code_ = 0;
    close_all();
}

void MissionServer::refuse_new() {
    services_.is_ending = true;
    for (Acceptor& acceptor : acceptors_) acceptor.close();
    dns_.close();
}

void MissionServer::give_up(const Error& error) {
    if (is_closed_) return;
    log::error(error.what);
    const Result<std::uint64_t> sent = launcher_.send(wire::Failed{error.what, "internal"});
    if (sent && !launcher_.flush()) log::error("the launcher does not listen either");
    close_all();
}

void MissionServer::close_all() {
    if (is_closed_) return;
    is_closed_ = true;
    refuse_new();
    leases_.close();
    recorder_.close();
    upstreams_.close();
    dialler_.close();
    loop_.close_everything();
    vault_.close();
    launcher_.close();
    end_.notify_all();
}

}  // namespace sanctum::interceptor
