// SPDX-License-Identifier: Apache-2.0
#include "network/openssl_types.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace sanctum::network {

void OpensslDeleter::operator()(SSL* object) const noexcept { SSL_free(object); }
void OpensslDeleter::operator()(SSL_CTX* object) const noexcept { SSL_CTX_free(object); }
void OpensslDeleter::operator()(SSL_SESSION* object) const noexcept { SSL_SESSION_free(object); }
void OpensslDeleter::operator()(X509* object) const noexcept { X509_free(object); }
void OpensslDeleter::operator()(EVP_PKEY* object) const noexcept { EVP_PKEY_free(object); }

void initialise_openssl() {
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    // OpenSSL looks its algorithms up at their first use and remembers them: now, while nobody waits for this process.
    const SslContextPtr context(SSL_CTX_new(TLS_method()));
    const PrivateKeyPtr key(EVP_EC_gen("P-256"));
    ERR_clear_error();
}

std::string take_openssl_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason != nullptr ? reason : "unknown error";
}

}  // namespace sanctum::network
