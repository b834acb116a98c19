// SPDX-License-Identifier: Apache-2.0
#include "tests/support/loopback.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sanctum::loopback {
namespace {

sockaddr_in local_address(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

network::PrivateKeyPtr make_key(const std::string& kind) {
    if (kind == "rsa512") return network::PrivateKeyPtr(EVP_RSA_gen(512U));
    if (kind == "rsa1024") return network::PrivateKeyPtr(EVP_RSA_gen(1024U));
    if (kind == "rsa2048") return network::PrivateKeyPtr(EVP_RSA_gen(2048U));
    return network::PrivateKeyPtr(EVP_EC_gen("P-256"));
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    ASSERT_NE(extension, nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

void add_names(X509* certificate, const Wanted& wanted) {
    GENERAL_NAMES* names = GENERAL_NAMES_new();
    const auto add = [&](int type, ASN1_STRING* bytes) {
        GENERAL_NAME* name = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(name, type, bytes);
        sk_GENERAL_NAME_push(names, name);
    };
    for (const std::string& text : wanted.dns_names) {
        ASN1_STRING* bytes = ASN1_IA5STRING_new();
        ASN1_STRING_set(bytes, text.data(), static_cast<int>(text.size()));
        add(GEN_DNS, bytes);
    }
    for (const std::string& text : wanted.addresses) add(GEN_IPADD, a2i_IPADDRESS(text.c_str()));
    if (sk_GENERAL_NAME_num(names) > 0) {
        X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
    }
    GENERAL_NAMES_free(names);
}

}  // namespace

std::pair<UniqueFd, UniqueFd> tcp_pair() {
    const Listener server = listener();
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to = local_address(server.port);
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    UniqueFd accepted;
    while (!accepted) accepted.reset(::accept4(server.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    UniqueFd non_blocking(::fcntl(client.get(), F_DUPFD_CLOEXEC, 3));
    ::fcntl(non_blocking.get(), F_SETFL, O_NONBLOCK);
    return {std::move(accepted), std::move(non_blocking)};
}

Listener listener() {
    Listener made;
    made.fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = local_address(0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(made.fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(made.fd.get(), 64), 0);
    ::getsockname(made.fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    made.port = ntohs(address.sin_port);
    return made;
}

std::string Identity::pem() const {
    BIO* memory = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(memory, certificate.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(memory);
    return pem;
}

Identity make_identity(const Wanted& wanted, const Identity* issuer) {
    static long serial = 0;
    Identity made{network::CertificatePtr(X509_new()), make_key(wanted.key)};
    X509* const certificate = made.certificate.get();
    X509* const signer = issuer != nullptr ? issuer->certificate.get() : certificate;
    const std::time_t now = std::time(nullptr);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(certificate), now + wanted.valid_from_s);
    ASN1_TIME_set(X509_getm_notAfter(certificate), now + wanted.valid_to_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wanted.common_name.data()),
                               static_cast<int>(wanted.common_name.size()), -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    X509_set_pubkey(certificate, made.key.get());
    add_extension(certificate, signer, NID_basic_constraints, wanted.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!wanted.extended_usage.empty()) add_extension(certificate, signer, NID_ext_key_usage, wanted.extended_usage);
    add_names(certificate, wanted);
    EVP_PKEY* const key = issuer != nullptr ? issuer->key.get() : made.key.get();
    EXPECT_NE(X509_sign(certificate, key, EVP_get_digestbyname(wanted.digest.c_str())), 0);
    return made;
}

Identity make_authority(const std::string& name) {
    Wanted wanted;
    wanted.common_name = name;
    wanted.dns_names.clear();
    wanted.extended_usage.clear();
    wanted.is_ca = true;
    return make_identity(wanted, nullptr);
}

std::string make_staple(const Identity& leaf, const Identity& issuer, Staple what) {
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(nullptr, leaf.certificate.get(), issuer.certificate.get());
    ASN1_TIME* now = X509_gmtime_adj(nullptr, 0);
    ASN1_TIME* next = X509_gmtime_adj(nullptr, 3600);
    const int status = what == Staple::Revoked ? V_OCSP_CERTSTATUS_REVOKED : V_OCSP_CERTSTATUS_GOOD;
    OCSP_basic_add1_status(basic, id, status, 0, what == Staple::Revoked ? now : nullptr, now, next);
    EXPECT_EQ(OCSP_basic_sign(basic, issuer.certificate.get(), issuer.key.get(), EVP_sha256(), nullptr, 0), 1);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &bytes);
    std::string staple(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return staple;
}

network::SslPtr start_server(const Identity& identity, const std::string& staple) {
    const network::SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_security_level(context.get(), 0);
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), identity.certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), identity.key.get()), 1);
    if (!staple.empty()) {
        static std::string kept;
        kept = staple;
        const auto show = +[](SSL* ssl, void*) {
            auto* copy = static_cast<unsigned char*>(OPENSSL_malloc(kept.size()));
            std::memcpy(copy, kept.data(), kept.size());
            SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(kept.size()));
            return SSL_TLSEXT_ERR_OK;
        };
        SSL_CTX_callback_ctrl(context.get(), SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, reinterpret_cast<void (*)()>(show));
    }
    network::SslPtr ssl(SSL_new(context.get()));
    SSL_set_accept_state(ssl.get());
    return ssl;
}

}  // namespace sanctum::loopback
