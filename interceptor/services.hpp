// SPDX-License-Identifier: Apache-2.0
// What an exchange needs from the rest of the interceptor, as narrow interfaces, so that the spine (exchange.cpp) is
// tested with memory streams and scripted answers.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/wire/messages.hpp"
#include "interceptor/io/byte_stream.hpp"
#include "interceptor/policy/budgets.hpp"
#include "interceptor/policy/revoked_services.hpp"
#include "interceptor/rewrite/dpop_request.hpp"
#include "network/client_certificate.hpp"
#include "profiles/catalog/catalog.hpp"
#include "profiles/policy/decide.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::interceptor {

class NeedleSet;

/// One accepted agent connection, before its first byte of HTTP.
struct AgentConnection {
    std::uint64_t id = 0;      ///< counted from 1
    std::uint64_t cookie = 0;
    std::string dialled;       ///< `198.18.0.4:443`
    std::string name;          ///< host name our DNS gave the dialled address to; empty: none did
    std::string server_name;   ///< SNI, lower-case; empty on plain connections
    std::uint16_t port = 443;
    bool is_tls = true;
};

/// Hands records to the launcher. Ids are counted here.
class Recorder {
public:
    virtual ~Recorder() = default;
    [[nodiscard]] virtual std::uint64_t next_exchange() = 0;
    virtual void connection_opened(const wire::ConnectionOpened& record) = 0;
    virtual void connection_refused(const wire::ConnectionRefused& record) = 0;
    /// Completes when the record was handed over (reads) or is on disk (`durable`). Errors: Io or Cancelled: nothing
    /// may be sent upstream (`record_unavailable`).
    [[nodiscard]] virtual net::awaitable<Status> intent(const wire::ExchangeIntent& record) = 0;
    virtual void refused(const wire::ExchangeRefused& record) = 0;
    virtual void outcome(const wire::ExchangeOutcome& record) = 0;
};

/// A credential while it may be injected. `is_live` turns false when the vault took it back.
struct HeldLease {
    std::string id;
    profiles::AuthForm form = profiles::AuthForm::None;
    std::string form_name;
    std::string username;
    Secret secret;
    network::ClientCertificate certificate;  ///< form Certificate: what its connections show; else empty
    std::int64_t expires_boot_ms = 0;
    std::uint32_t uses = 0;
    std::int64_t clock_offset_ms = 0;  ///< its provider's clock minus ours
    bool is_live = true;
    /// The time that a signature or proof with it bears: its provider's, as the vault measured it.
    [[nodiscard]] WallTime time(const Clock& clock) const { return {clock.wall().unix_ms + clock_offset_ms}; }
};

/// Leases in use; asks the vault and keeps what may be reused.
class Leases {
public:
    virtual ~Leases() = default;
    /// A live lease for this need; with `instead_of` another one than that. Errors: Denied or NotFound or Cancelled,
    /// with the vault's reason in the text (no secret); all are `credential_unavailable` to the agent.
    [[nodiscard]] virtual net::awaitable<Result<std::shared_ptr<HeldLease>>> need(const wire::LeaseNeed& need) = 0;
    /// What the vault answers in the place of the agent's token endpoint. Errors: as need().
    [[nodiscard]] virtual net::awaitable<Result<wire::LoginAnswered>> login(const wire::LoginNeed& need) = 0;
    virtual void used(const wire::LeaseUsed& use) = 0;
    /// What the scrubber removes from all that the agent receives: every credential that this mission has had.
    [[nodiscard]] virtual std::vector<std::shared_ptr<HeldLease>> known() const = 0;
};

/// What the operator can do where a server does not accept the certificate that a token is bound to.
inline constexpr std::string_view kCertificateRemedy =
    "; have it take certificates that no authority signed (RFC 8705 3), or let the client have one that it knows by "
    "client_authentication = \"tls_client_auth\"";

/// A verified connection to an upstream host.
struct Upstream {
    std::unique_ptr<ByteStream> stream;
    bool is_reused = false;
    std::string pool_key;
};

/// Why no upstream connection could be had, as reason_code of formats 8.
struct UpstreamFailure {
    std::string reason;  ///< upstream_address | upstream_certificate | upstream_unreachable | client_certificate
    std::string detail;  ///< for the ledger and the operator
};

/// Dials, verifies and pools upstream connections. The pool key holds host, port and lease id, so connections are
/// never shared between credentials. Where a lease has a certificate, its connections show that, and no others do.
class Upstreams {
public:
    virtual ~Upstreams() = default;
    /// `host` must be covered by dial entry `entry`. Verified for `host` before it completes. A fresh connection is
    /// made when `only_fresh` or when the pool has none. `lease`: whose token will be sent; null: none. Errors: the
    /// reason_code is Error::what up to the first `:`.
    enum class Pool { MayReuse, OnlyFresh };
    [[nodiscard]] virtual net::awaitable<Result<Upstream>> open(std::size_t entry, const std::string& host,
                                                                std::uint16_t port, bool is_tls,
                                                                const std::shared_ptr<HeldLease>& lease,
                                                                Pool pool) = 0;
    /// Gives a connection back for later exchanges; the caller guarantees that it is between messages.
    virtual void park(Upstream upstream) = 0;
};

/// Everything a connection's exchanges use; outlives all of them.
struct Services {
    const profiles::Mission& mission;
    const profiles::CatalogSet& catalog;
    const std::vector<profiles::DialEntry>& entries;
    Recorder& recorder;
    Leases& leases;
    Upstreams& upstreams;
    const Clock& clock;
    std::string salt;        ///< raw bytes
    Budgets& budgets;
    bool is_ending = false;  ///< set by `stop`: every new request is refused with `mission_ending`
    std::shared_ptr<const NeedleSet> needles;  ///< the scrubber's, remade when the live leases change
    DpopNonces dpop_nonces{};   ///< of the servers whose tokens are bound to a key
    RevokedServices revoked{};  ///< their requests are refused with `service_revoked`
};

/// Serves one agent connection until it ends: reads requests one after another, and for each the whole way
/// classify → decide → intent → lease → upstream → inject → response → scrub → outcome. Never throws out.
/// Cancellation: close the stream. Implemented in exchange.cpp.
[[nodiscard]] net::awaitable<void> serve_connection(std::unique_ptr<ByteStream> agent, AgentConnection connection,
                                                    Services& services);

}  // namespace sanctum::interceptor
