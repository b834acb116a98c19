// SPDX-License-Identifier: Apache-2.0
// The steps of making a certificate (RFC 5280): who signs it, and what it is for, is said by who makes it.
#pragma once

#include "base/result.hpp"
#include "network/openssl_types.hpp"

#include <cstdint>
#include <string>

namespace sanctum::network {

/// Internal: `what`, and OpenSSL's oldest reason.
[[nodiscard]] Error openssl_failed(const char* what);

/// A certificate of version 3 for `key` with a random serial number, still unsigned and without names. Times in Unix
/// seconds. Errors: Internal.
[[nodiscard]] Result<CertificatePtr> begin_certificate(std::int64_t not_before, std::int64_t not_after, EVP_PKEY* key);
/// Sets the common name, cut to the 64 characters that it may have (appendix A.1). Errors: Internal.
[[nodiscard]] Status set_subject(X509* certificate, const std::string& common_name);
/// `value` in the language of x509v3_config(5); nothing from outside may be in it. Errors: Internal.
[[nodiscard]] Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value);
/// Errors: Internal.
[[nodiscard]] Result<std::string> certificate_pem(X509* certificate);

}  // namespace sanctum::network
