// SPDX-License-Identifier: Apache-2.0
// The certificate by which our side of a connection shows who it is (mutual TLS, RFC 8705).
#pragma once

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <openssl/types.h>

#include <string>
#include <string_view>

namespace sanctum::network {

/// Both PEM: the client's certificate and then its chain; the key of the first. Both empty: there is none.
struct ClientCertificate {
    std::string certificate;
    Secret key;
    [[nodiscard]] bool is_empty() const { return certificate.empty(); }
    [[nodiscard]] ClientCertificate duplicate() const { return {certificate, key.duplicate()}; }
};

/// A new key on P-256 and a certificate for clients that it signs itself, in the name `name`; valid from
/// kCertificateBackdate before `now` to as much after `ends`, for servers whose clock is another. Errors: Internal.
[[nodiscard]] Result<ClientCertificate> make_client_certificate(const std::string& name, WallTime now, WallTime ends);

/// SHA-256 of the first certificate, as DER. Errors: InvalidProfile (no certificate, or a damaged one).
[[nodiscard]] Result<Digest> certificate_digest(const std::string& pem);

/// Makes `ssl` show `own` when the server asks. Errors: InvalidProfile (no certificate or key, a key with a
/// passphrase, a key of another certificate).
[[nodiscard]] Status show_certificate(SSL* ssl, const ClientCertificate& own);

/// After a handshake that resumed nothing, before anything else: empty when the server asked and was given a proof of
/// the key, else a sentence that says what it did instead.
[[nodiscard]] std::string_view why_not_shown(SSL* ssl);

/// After the handshake: `ssl` needs the key no more, and has it no more.
void forget_certificate(SSL* ssl);

}  // namespace sanctum::network
