// SPDX-License-Identifier: Apache-2.0
// A certificate status that a server staples to its handshake (RFC 6066 section 8): revoked means refused.
#pragma once

#include <openssl/types.h>

namespace sanctum::network {

/// Callback of SSL_CTX_set_tlsext_status_cb(3). 1: nothing stapled, good, unknown, or too old to say anything;
/// 0: revoked, or not a response that the chain's issuer signed (the verify result is set accordingly); -1: failure.
int check_stapled_status(SSL* ssl, void* unused);

}  // namespace sanctum::network
