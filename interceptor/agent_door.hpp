// SPDX-License-Identifier: Apache-2.0
// AgentDoor: from an accepted socket to serve_connection: who dialled what, TLS or not, and the handshake.
#pragma once

#include "interceptor/dns/address_pool.hpp"
#include "interceptor/io/acceptor.hpp"
#include "interceptor/services.hpp"
#include "interceptor/tls/agent_tls.hpp"

#include <cstdint>

namespace sanctum::interceptor {

/// What every connection's beginning uses; outlives all of them.
class AgentDoor {
public:
    AgentDoor(Loop& loop, ConnectionGate& gate, AddressPool& pool, const AgentTls& tls, UniqueFd sock_diag,
              Services& services);

    /// Serves one connection in a coroutine of its own; the gate was entered for it and is left at its end.
    void admit(AcceptedSocket socket);

private:
    /// The name of a dialled pool address, held while the connection is open.
    class HeldName;
    [[nodiscard]] net::awaitable<void> serve(AcceptedSocket socket);
    [[nodiscard]] net::awaitable<void> serve_tls(std::unique_ptr<class PlainStream> plain, AgentConnection connection,
                                                 std::string dialled_host);

    Loop& loop_;
    ConnectionGate& gate_;
    AddressPool& pool_;
    const AgentTls& tls_;
    UniqueFd sock_diag_;
    Services& services_;
    std::uint64_t last_connection_ = 0;
};

}  // namespace sanctum::interceptor
