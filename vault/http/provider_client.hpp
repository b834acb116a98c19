// SPDX-License-Identifier: Apache-2.0
// ProviderClient: the vault's HttpClient over its own dialler, verified TLS and the rules for trying again.
//
//     auto client = ProviderClient::start({{"auth.example.com", 443}}, upstream, roots, loop, clock);  // forks
//     … open the store, confine the process: no call of its own is needed but those of the loop, read and write …
//     (*client)->send(std::move(request), [](Result<HttpResponse> answer) { … });
//     while (…) { loop.wait(clock, (*client)->next_tick()); (*client)->tick(); }
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "network/root_certificates.hpp"
#include "network/upstream_tls.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/dial_port.hpp"
#include "vault/http/exchange.hpp"
#include "vault/http/http_client.hpp"
#include "vault/http/request_bytes.hpp"
#include "vault/poll_loop.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

/// A provider that may be asked: exact name, lower-case, and TCP port.
struct ProviderHost {
    std::string name;
    std::uint16_t port = 443;
};

/// Host and port of an https address that was checked before.
[[nodiscard]] ProviderHost provider_host(const std::string& url);

/// Single thread. Many requests may be under way; each has a connection of its own.
class ProviderClient final : public HttpClient {
public:
    /// Forks the dialler, which must never have seen a secret: to be called before the store is opened, while the
    /// process is single-threaded and not confined. From then on only `hosts` can be reached, at addresses that
    /// `config` permits, and SIGPIPE is ignored. `roots`: their `readable` paths are read at the first verification and
    /// have to stay readable. `loop` and `clock` must outlive the client. Errors: InvalidProfile (a host name that is
    /// none, resolver, addresses, ca_pem), Io, Internal.
    [[nodiscard]] static Result<std::unique_ptr<ProviderClient>> start(const std::vector<ProviderHost>& hosts,
                                                                       const profiles::UpstreamConfig& config,
                                                                       const network::RootCertificates& roots,
                                                                       PollLoop& loop, const Clock& clock);
    ~ProviderClient() override;
    ProviderClient(const ProviderClient&) = delete;
    ProviderClient& operator=(const ProviderClient&) = delete;

    void send(HttpRequest request, Completion<Result<HttpResponse>> done) override;

    /// Begins tries whose time has come and ends requests whose deadline has passed. To be called after each wait.
    void tick();
    /// When tick() has something to do next; absent: nothing waits for time.
    [[nodiscard]] std::optional<BootTime> next_tick() const;

private:
    struct Flight;
    using Entries = std::map<std::pair<std::string, std::uint16_t>, std::uint32_t>;
    ProviderClient(Entries entries, network::DiallerProcess dialler, std::unique_ptr<network::UpstreamTls> tls,
                   PollLoop& loop, const Clock& clock);

    [[nodiscard]] Flight* find(std::uint64_t id);
    [[nodiscard]] bool has_room() const;
    [[nodiscard]] Status admit(Flight& flight) const;
    void begin_try(std::uint64_t id, Flight& flight);
    void take_connection(std::uint64_t id, Result<UniqueFd> socket);
    [[nodiscard]] Result<network::SslPtr> begin_tls(const Flight& flight);
    void take_end(std::uint64_t id, ExchangeEnd end);
    void end_try(std::uint64_t id, Flight& flight, ExchangeEnd end);
    void give_up(std::uint64_t id, const Flight& flight);
    void finish(std::uint64_t id, Result<HttpResponse> answer);

    Entries entries_;
    PollLoop& loop_;
    const Clock& clock_;
    std::unique_ptr<network::UpstreamTls> tls_;
    DialPort dial_port_;
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, std::unique_ptr<Flight>> flights_;
};

}  // namespace sanctum::vault
