// SPDX-License-Identifier: Apache-2.0
#include "vault/http/client_certificate.hpp"

#include "network/openssl_types.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>
#include <string_view>

namespace sanctum::vault {
namespace {

using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

Memory read_from(std::string_view pem) {
    return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

Error refuse(const char* what) {
    ERR_clear_error();
    return {Errc::InvalidProfile, what};
}

// Nobody is asked for a passphrase: this process has no terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

Status show_certificate(SSL* ssl, const ClientCertificate& identity) {
    const Memory certificates = read_from(identity.certificate);
    const network::CertificatePtr own(PEM_read_bio_X509(certificates.get(), nullptr, &no_passphrase, nullptr));
    if (!own) return refuse("client certificate: not PEM, or damaged");
    const Memory key_text = read_from(identity.key.reveal());
    const network::PrivateKeyPtr key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, &no_passphrase, nullptr));
    if (!key) return refuse("client certificate: the key is not PEM, damaged, or has a passphrase");
    if (SSL_use_certificate(ssl, own.get()) != 1 || SSL_use_PrivateKey(ssl, key.get()) != 1) {
        return refuse("client certificate: the key belongs to another certificate, or is too weak");
    }
    for (;;) {
        const network::CertificatePtr next(PEM_read_bio_X509(certificates.get(), nullptr, &no_passphrase, nullptr));
        if (!next) break;
        if (SSL_add1_chain_cert(ssl, next.get()) != 1) return refuse("client certificate: its chain cannot be used");
    }
    // The last read always fails; anything but "no further PEM block" is a damaged certificate.
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return refuse("client certificate: its chain is damaged");
    }
    ERR_clear_error();
    return {};
}

}  // namespace sanctum::vault
