// SPDX-License-Identifier: Apache-2.0
// UpstreamTls: the client side towards real servers. Full verification for the host name, always; there is no switch.
#pragma once

#include "base/result.hpp"
#include "network/openssl_types.hpp"
#include "network/root_certificates.hpp"

#include <map>
#include <memory>
#include <string>

namespace sanctum::network {

class UpstreamTls {
public:
    /// `ca_pem`: the operator's certificates, trusted beside the machine's; empty: none. The machine's roots are
    /// looked up when the first server is verified. `pinned`: hosts for which the certificates named here, PEM, are the
    /// only roots. Errors: InvalidProfile (a PEM holds no certificate, or a broken one), Internal.
    [[nodiscard]] static Result<std::unique_ptr<UpstreamTls>> create(
        const std::string& ca_pem, const RootCertificates& roots,
        const std::map<std::string, std::string>& pinned = {});
    ~UpstreamTls();
    UpstreamTls(const UpstreamTls&) = delete;
    UpstreamTls& operator=(const UpstreamTls&) = delete;

    /// A client-side SSL that will verify for `host` and offers `http/1.1`. A kept session of `session_key` (host,
    /// port and lease) is offered; new ones are kept under it. With an empty key nothing is resumed, now or later.
    /// Errors: Internal.
    [[nodiscard]] Result<SslPtr> start(const std::string& host, const std::string& session_key);

    /// The reason_code with detail after a failed handshake: `upstream_certificate: …` when verification failed,
    /// `upstream_unreachable: …` otherwise. `failure` is what TlsStream::handshake said.
    [[nodiscard]] static Error explain_failure(const SSL* ssl, const Error& failure);

    /// Drops the sessions of keys that end with `ending`.
    void forget_sessions(const std::string& ending);

private:
    struct State;
    explicit UpstreamTls(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sanctum::network
