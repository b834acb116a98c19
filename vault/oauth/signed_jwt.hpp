// SPDX-License-Identifier: Apache-2.0
// Signed JSON Web Tokens (RFC 7519) for assertions; the only file that knows cjose.
//
// The algorithm is the caller's, never a text's.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <string>

namespace sanctum::vault {

/// RS256 for RSA keys, ES256 for keys on P-256 (RFC 7518 3.1); which one follows from the key alone.
enum class SigningAlgorithm : std::uint8_t { Rs256, Es256 };

/// A private key for signing. Move-only; wiped.
class SigningKey {
public:
    /// From PEM (PKCS#1, PKCS#8 or SEC 1, no passphrase). Errors: InvalidProfile (no such key, too short, another
    /// curve); nothing of the text is in the sentence.
    [[nodiscard]] static Result<SigningKey> parse(const Secret& pem);
    SigningKey(SigningKey&& other) noexcept;
    SigningKey& operator=(SigningKey&& other) noexcept;
    SigningKey(const SigningKey&) = delete;
    SigningKey& operator=(const SigningKey&) = delete;
    ~SigningKey();

    [[nodiscard]] SigningAlgorithm algorithm() const { return algorithm_; }

    /// The compact form (RFC 7515 7.1). `claims`: a JSON object. `type` is the header's `typ`, `key_id` its `kid`;
    /// neither is written when empty. Errors: Internal.
    [[nodiscard]] Result<Secret> sign(const std::string& claims, const std::string& type,
                                      const std::string& key_id) const;

private:
    SigningKey(void* jwk, SigningAlgorithm algorithm) : jwk_(jwk), algorithm_(algorithm) {}
    void* jwk_ = nullptr;  ///< cjose_jwk_t
    SigningAlgorithm algorithm_ = SigningAlgorithm::Rs256;
};

}  // namespace sanctum::vault
