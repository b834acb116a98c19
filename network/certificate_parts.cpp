// SPDX-License-Identifier: Apache-2.0
#include "network/certificate_parts.hpp"

#include "base/files.hpp"

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace sanctum::network {
namespace {

Status set_random_serial(X509* certificate) {
    std::string bytes = random_bytes(16);
    bytes[0] = static_cast<char>(bytes[0] & 0x7f);
    bytes[15] = static_cast<char>(bytes[15] | 1);
    const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr),
        &BN_free);
    if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
        return openssl_failed("certificate serial");
    }
    return {};
}

}  // namespace

Error openssl_failed(const char* what) {
    return Error{Errc::Internal, std::string(what) + ": " + take_openssl_error()};
}

Result<CertificatePtr> begin_certificate(std::int64_t not_before, std::int64_t not_after, EVP_PKEY* key) {
    CertificatePtr certificate(X509_new());
    if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
        X509_set_pubkey(certificate.get(), key) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(certificate.get()), not_before) == nullptr ||
        ASN1_TIME_set(X509_getm_notAfter(certificate.get()), not_after) == nullptr) {
        return openssl_failed("certificate");
    }
    SANCTUM_CHECK(set_random_serial(certificate.get()));
    return certificate;
}

Status set_subject(X509* certificate, const std::string& common_name) {
    const std::string shown = common_name.substr(0, 64);
    X509_NAME* subject = X509_get_subject_name(certificate);
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(shown.data()),
                                   static_cast<int>(shown.size()), -1, 0) != 1) {
        return openssl_failed("certificate subject");
    }
    return {};
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), &X509_EXTENSION_free);
    if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
        return openssl_failed("certificate extension");
    }
    return {};
}

Result<std::string> certificate_pem(X509* certificate) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
    if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) return openssl_failed("certificate");
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &text);
    return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace sanctum::network
