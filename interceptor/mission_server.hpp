// SPDX-License-Identifier: Apache-2.0
// MissionServer: everything that serves one mission's connections, wired together, and how it ends.
#pragma once

#include "base/clock.hpp"
#include "interceptor/agent_door.hpp"
#include "interceptor/dns/dns_server.hpp"
#include "interceptor/io/wire_port.hpp"
#include "interceptor/lease_book.hpp"
#include "interceptor/recorder.hpp"
#include "interceptor/start.hpp"
#include "interceptor/tls/agent_tls.hpp"
#include "interceptor/tls/mission_ca.hpp"
#include "interceptor/upstream/dial_client.hpp"
#include "interceptor/upstream/upstream_pool.hpp"
#include "network/upstream_tls.hpp"

#include <list>
#include <memory>
#include <string>
#include <vector>

namespace sanctum::interceptor {

/// Made by create(), begun by serve(); Loop::run() does the work and returns when all of it has ended.
class MissionServer {
public:
    /// `dialler`: our end of the dialler's channel. Errors: Internal (OpenSSL), InvalidProfile (upstream.ca_file).
    [[nodiscard]] static Result<std::unique_ptr<MissionServer>> create(Loop& loop, Start start, wire::Channel launcher,
                                                                       wire::Channel dialler,
                                                                       const network::RootCertificates& roots);

    [[nodiscard]] const std::string& ca_pem() const { return tls_.ca->certificate_pem(); }

    /// Starts accepting. Sends InterceptorReady first. Errors: Io.
    [[nodiscard]] Status serve(std::uint64_t dialler_pid);

    /// After run(): 0 when it ended by the launcher's Stop, else 1.
    [[nodiscard]] int exit_code() const { return exit_code_; }

private:
    struct Tls {
        std::unique_ptr<MissionCa> ca;
        std::unique_ptr<AgentTls> agent;  ///< refers to the CA
        std::unique_ptr<network::UpstreamTls> upstream;
    };
    MissionServer(Loop& loop, Start start, wire::Channel launcher, wire::Channel dialler, Tls tls);

    [[nodiscard]] net::awaitable<void> hear_launcher();
    [[nodiscard]] net::awaitable<void> hear_vault();
    /// Asks for a credential that a request will need; its answer stays in the book. A failure is told to whoever
    /// really needs it.
    [[nodiscard]] net::awaitable<void> warm_up(wire::LeaseNeed need);
    [[nodiscard]] net::awaitable<void> hear_dialler();
    [[nodiscard]] net::awaitable<void> watch_end_of_mission();
    [[nodiscard]] net::awaitable<void> stop(std::chrono::milliseconds drain);
    [[nodiscard]] Status take_from_launcher(const wire::Packet& packet);
    [[nodiscard]] Status revoke(const std::string& service);
    [[nodiscard]] Status share_budget(const wire::ShareBudget& message);

    /// From here on nothing is accepted and nothing injected into a new request.
    void refuse_new();
    /// FAIL-CLOSED: tells the launcher why, and ends.
    void give_up(const Error& error);
    /// Wipes the leases and closes everything; every coroutine then ends by itself.
    void close_all();

    Loop& loop_;
    Start start_;
    SystemClock clock_;
    const std::vector<profiles::DialEntry> entries_;
    Tls tls_;
    WirePort launcher_;
    WirePort vault_;
    DialClient dialler_;
    WireRecorder recorder_;
    LeaseBook leases_;
    UpstreamPool upstreams_;
    Budgets budgets_;
    Services services_;
    AddressPool addresses_;
    DnsServer dns_;
    ConnectionGate gate_;
    AgentDoor door_;
    std::list<Acceptor> acceptors_;
    Event end_;
    bool is_stopping_ = false;
    bool is_closed_ = false;
    int exit_code_ = 1;
};

}  // namespace sanctum::interceptor
