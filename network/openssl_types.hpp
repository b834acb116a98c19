// SPDX-License-Identifier: Apache-2.0
// Owning handles for OpenSSL objects, without OpenSSL's headers; and its error queue in words.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

typedef struct ssl_session_st SSL_SESSION;  // as in openssl/ssl.h, which types.h does not cover

namespace sanctum::network {

struct OpensslDeleter {
    void operator()(SSL* object) const noexcept;
    void operator()(SSL_CTX* object) const noexcept;
    void operator()(SSL_SESSION* object) const noexcept;
    void operator()(X509* object) const noexcept;
    void operator()(EVP_PKEY* object) const noexcept;
};

using SslPtr = std::unique_ptr<SSL, OpensslDeleter>;
using SslContextPtr = std::unique_ptr<SSL_CTX, OpensslDeleter>;
using SslSessionPtr = std::unique_ptr<SSL_SESSION, OpensslDeleter>;
using CertificatePtr = std::unique_ptr<X509, OpensslDeleter>;
using PrivateKeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter>;

/// Once per process, before any other use: no configuration file and no environment of the caller is read.
void initialise_openssl();

/// The oldest entry of the error queue as text (`ssl: certificate verify failed`), and empties the queue.
[[nodiscard]] std::string take_openssl_error();

}  // namespace sanctum::network
