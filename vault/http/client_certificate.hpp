// SPDX-License-Identifier: Apache-2.0
// A client certificate for one connection (mutual TLS, RFC 8705).
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"

#include <openssl/types.h>

namespace sanctum::vault {

/// Makes `ssl` show `identity` when the server asks: the first certificate of the PEM is the client's, further ones its
/// chain. Errors: InvalidProfile (no certificate or key, a key with a passphrase, a key of another certificate).
[[nodiscard]] Status show_certificate(SSL* ssl, const ClientCertificate& identity);

}  // namespace sanctum::vault
