// SPDX-License-Identifier: Apache-2.0
#include "interceptor/tls/mission_ca.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "network/host_name.hpp"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

namespace sanctum::interceptor {
namespace {

Error openssl_failed(const char* what) {
    return Error{Errc::Internal, std::string(what) + ": " + network::take_openssl_error()};
}

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

Status set_subject(X509* certificate, const std::string& common_name) {
    // A common name has at most 64 characters (RFC 5280 appendix A.1); clients read the alternative name.
    const std::string shown = common_name.substr(0, 64);
    X509_NAME* subject = X509_get_subject_name(certificate);
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(shown.data()),
                                   static_cast<int>(shown.size()), -1, 0) != 1) {
        return openssl_failed("certificate subject");
    }
    return {};
}

Result<network::CertificatePtr> begin_certificate(std::int64_t not_before, std::int64_t not_after, EVP_PKEY* key) {
    network::CertificatePtr certificate(X509_new());
    if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
        X509_set_pubkey(certificate.get(), key) != 1 ||
        ASN1_TIME_set(X509_getm_notBefore(certificate.get()), not_before) == nullptr ||
        ASN1_TIME_set(X509_getm_notAfter(certificate.get()), not_after) == nullptr) {
        return openssl_failed("certificate");
    }
    SANCTUM_CHECK(set_random_serial(certificate.get()));
    return certificate;
}

Result<std::string> to_pem(X509* certificate) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), &BIO_free);
    if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) return openssl_failed("certificate");
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &text);
    return std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

Result<MissionCa> MissionCa::create(std::string_view mission_id, WallTime now, WallTime ends) {
    MissionCa ca;
    ca.not_before_ = now.unix_ms / 1000 - std::chrono::seconds(kCertificateBackdate).count();
    ca.not_after_ = ends.unix_ms / 1000;
    ca.key_.reset(EVP_EC_gen("P-256"));
    ca.leaf_key_.reset(EVP_EC_gen("P-256"));
    if (!ca.key_ || !ca.leaf_key_) return openssl_failed("mission CA key");

    SANCTUM_TRY(ca.certificate_, begin_certificate(ca.not_before_, ca.not_after_, ca.key_.get()));
    X509* const own = ca.certificate_.get();
    SANCTUM_CHECK(set_subject(own, "Sanctum mission " + std::string(mission_id)));
    if (X509_set_issuer_name(own, X509_get_subject_name(own)) != 1) return openssl_failed("mission CA");
    SANCTUM_CHECK(add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    SANCTUM_CHECK(add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign"));
    SANCTUM_CHECK(add_extension(own, own, NID_ext_key_usage, "serverAuth"));
    SANCTUM_CHECK(add_extension(own, own, NID_subject_key_identifier, "hash"));
    if (X509_sign(own, ca.key_.get(), EVP_sha256()) == 0) return openssl_failed("mission CA signature");
    SANCTUM_TRY(ca.pem_, to_pem(own));
    return ca;
}

Result<X509*> MissionCa::leaf_for(const std::string& name) {
    if (const auto found = by_name_.find(name); found != by_name_.end()) {
        leaves_.splice(leaves_.begin(), leaves_, found->second);
        return leaves_.front().certificate.get();
    }
    SANCTUM_TRY(network::CertificatePtr certificate, mint(name));
    if (leaves_.size() >= kLeafCertificatesMax) {
        by_name_.erase(leaves_.back().name);
        leaves_.pop_back();
    }
    leaves_.push_front({name, std::move(certificate)});
    by_name_.emplace(leaves_.front().name, leaves_.begin());
    return leaves_.front().certificate.get();
}

Result<network::CertificatePtr> MissionCa::mint(const std::string& name) const {
    const bool is_address = network::is_address_literal(name);
    // SECURITY: the name goes into an extension by text; only characters of a host name or address may get there.
    if (!is_address && !network::is_host_name(name)) return Error{Errc::Protocol, "not a host name"};
    SANCTUM_TRY(network::CertificatePtr leaf, begin_certificate(not_before_, not_after_, leaf_key_.get()));
    SANCTUM_CHECK(set_subject(leaf.get(), name));
    if (X509_set_issuer_name(leaf.get(), X509_get_subject_name(certificate_.get())) != 1) {
        return openssl_failed("leaf certificate");
    }
    X509* const issuer = certificate_.get();
    SANCTUM_CHECK(add_extension(leaf.get(), issuer, NID_basic_constraints, "critical,CA:FALSE"));
    SANCTUM_CHECK(add_extension(leaf.get(), issuer, NID_key_usage, "critical,digitalSignature"));
    SANCTUM_CHECK(add_extension(leaf.get(), issuer, NID_ext_key_usage, "serverAuth"));
    SANCTUM_CHECK(add_extension(leaf.get(), issuer, NID_subject_key_identifier, "hash"));
    SANCTUM_CHECK(add_extension(leaf.get(), issuer, NID_authority_key_identifier, "keyid:always"));
    SANCTUM_CHECK(add_extension(leaf.get(), issuer, NID_subject_alt_name, (is_address ? "IP:" : "DNS:") + name));
    if (X509_sign(leaf.get(), key_.get(), EVP_sha256()) == 0) return openssl_failed("leaf signature");
    return leaf;
}

}  // namespace sanctum::interceptor
