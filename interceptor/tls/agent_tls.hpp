// SPDX-License-Identifier: Apache-2.0
// AgentTls: the server side that the agent's clients meet.
//
// The handshake completes for whatever name the client asks for, with a leaf that its own trust accepts, so that a
// request to a wrong or unknown host gets an answer in words instead of a certificate error. Completing it decides
// nothing: the exchange compares the names.
#pragma once

#include "base/result.hpp"
#include "interceptor/tls/mission_ca.hpp"
#include "network/openssl_types.hpp"

#include <memory>
#include <string>

namespace sanctum::interceptor {

/// One handshake's input and output; must live until the handshake has ended.
struct AgentHandshake {
    std::string name;             ///< what our DNS called the dialled address; may be empty
    std::string dialled_address;  ///< literal, without port
    std::string server_name;      ///< out: from the ClientHello; empty when none was sent
};

class AgentTls {
public:
    /// `ca` outlives this. TLS 1.2 or newer, ALPN `http/1.1` only, tickets under keys of this object, no early data,
    /// no compression, no renegotiation. Errors: Internal (OpenSSL).
    [[nodiscard]] static Result<std::unique_ptr<AgentTls>> create(MissionCa& ca);

    /// A server-side SSL for one connection. Errors: Internal.
    [[nodiscard]] Result<network::SslPtr> start(AgentHandshake& handshake) const;

private:
    AgentTls() = default;
    network::SslContextPtr context_;
};

}  // namespace sanctum::interceptor
