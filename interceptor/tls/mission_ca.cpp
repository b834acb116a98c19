// SPDX-License-Identifier: Apache-2.0
#include "interceptor/tls/mission_ca.hpp"

#include "base/limits.hpp"
#include "network/certificate_parts.hpp"
#include "network/host_name.hpp"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

namespace sanctum::interceptor {
namespace {

using network::add_extension;
using network::begin_certificate;
using network::openssl_failed;
using network::set_subject;

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
    SANCTUM_TRY(ca.pem_, network::certificate_pem(own));
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
