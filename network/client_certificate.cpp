// SPDX-License-Identifier: Apache-2.0
#include "network/client_certificate.hpp"

#include "base/limits.hpp"
#include "network/certificate_parts.hpp"
#include "network/openssl_types.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

namespace sanctum::network {
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

CertificatePtr read_certificate(BIO* pem) {
    return CertificatePtr(PEM_read_bio_X509(pem, nullptr, &no_passphrase, nullptr));
}

Result<Secret> key_pem(const EVP_PKEY* key) {
    const Memory memory(BIO_new(BIO_s_mem()), &BIO_free);  // wiped when it is freed
    if (!memory || PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return openssl_failed("client certificate's key");
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &text);
    return Secret(std::string_view(text, static_cast<std::size_t>(size)));
}

}  // namespace

Result<ClientCertificate> make_client_certificate(const std::string& name, WallTime now, WallTime ends) {
    constexpr std::int64_t kSlackSeconds = std::chrono::seconds(kCertificateBackdate).count();
    const PrivateKeyPtr key(EVP_EC_gen("P-256"));
    if (!key) return openssl_failed("client certificate's key");
    SANCTUM_TRY(const CertificatePtr made, begin_certificate(now.unix_ms / 1000 - kSlackSeconds,
                                                             ends.unix_ms / 1000 + kSlackSeconds, key.get()));
    X509* const own = made.get();
    SANCTUM_CHECK(set_subject(own, name));
    if (X509_set_issuer_name(own, X509_get_subject_name(own)) != 1) return openssl_failed("client certificate");
    SANCTUM_CHECK(add_extension(own, own, NID_basic_constraints, "critical,CA:FALSE"));
    SANCTUM_CHECK(add_extension(own, own, NID_key_usage, "critical,digitalSignature"));
    SANCTUM_CHECK(add_extension(own, own, NID_ext_key_usage, "clientAuth"));
    SANCTUM_CHECK(add_extension(own, own, NID_subject_key_identifier, "hash"));
    if (X509_sign(own, key.get(), EVP_sha256()) == 0) return openssl_failed("client certificate's signature");
    ClientCertificate certificate;
    SANCTUM_TRY(certificate.certificate, certificate_pem(own));
    SANCTUM_TRY(certificate.key, key_pem(key.get()));
    return certificate;
}

Result<Digest> certificate_digest(const std::string& pem) {
    const Memory memory = read_from(pem);
    const CertificatePtr first = read_certificate(memory.get());
    if (!first) return refuse("client certificate: not PEM, or damaged");
    Digest digest{};
    unsigned int size = 0;
    if (X509_digest(first.get(), EVP_sha256(), digest.data(), &size) != 1 || size != digest.size()) {
        return openssl_failed("client certificate's digest");
    }
    return digest;
}

Status show_certificate(SSL* ssl, const ClientCertificate& own) {
    const Memory certificates = read_from(own.certificate);
    const CertificatePtr first = read_certificate(certificates.get());
    if (!first) return refuse("client certificate: not PEM, or damaged");
    const Memory key_text = read_from(own.key.reveal());
    const PrivateKeyPtr key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, &no_passphrase, nullptr));
    if (!key) return refuse("client certificate: the key is not PEM, damaged, or has a passphrase");
    if (SSL_use_certificate(ssl, first.get()) != 1 || SSL_use_PrivateKey(ssl, key.get()) != 1) {
        return refuse("client certificate: the key belongs to another certificate, or is too weak");
    }
    for (;;) {
        const CertificatePtr next = read_certificate(certificates.get());
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

// A client signs the handshake with its certificate's key and with nothing else (RFC 8446 4.4.3, RFC 5246 7.4.8); a
// server names the signatures that it takes where it asks, and nowhere else (RFC 8446 4.3.2, RFC 5246 7.4.4).
std::string_view why_not_shown(SSL* ssl) {
    int kind = NID_undef;
    if (SSL_get_signature_type_nid(ssl, &kind) == 1 && kind != NID_undef) return {};
    if (SSL_get_sigalgs(ssl, 0, nullptr, nullptr, nullptr, nullptr, nullptr) == 0) {
        return "the server asks for no client certificate";
    }
    return "the server asks for a client certificate, and for a signature that the key of ours cannot make";
}

void forget_certificate(SSL* ssl) { SSL_certs_clear(ssl); }

}  // namespace sanctum::network
