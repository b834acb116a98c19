// SPDX-License-Identifier: Apache-2.0
// What OpenSSL frees is overwritten first, in the programs that hold credentials: it wipes a key's numbers itself, but
// not the texts and DER that it read the key from, nor what was in a connection. For C++, base/wipe_on_free.cpp.
#pragma once

#include "base/result.hpp"

namespace sanctum::network {

/// From here on OpenSSL wipes each block that it frees or moves (malloc_usable_size(3), explicit_bzero(3)), but for
/// the buffers of TLS records, which SSL_OP_CLEANSE_PLAINTEXT is for. Once, at the start of main(). Errors: Internal
/// (OpenSSL has memory already and takes no other functions for it, CRYPTO_set_mem_functions(3)); fatal to the caller.
[[nodiscard]] Status wipe_what_openssl_frees();

}  // namespace sanctum::network
