// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/signed_jwt.hpp"

#include <cjose/cjose.h>

#include <memory>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <utility>
#include <vector>

namespace sanctum::vault {
namespace {

constexpr int kRsaBitsMin = 2048;  // RFC 7518 3.3

struct Release {
    void operator()(EVP_PKEY* object) const { ::EVP_PKEY_free(object); }
    void operator()(BIO* object) const { ::BIO_free_all(object); }
    void operator()(BIGNUM* object) const { ::BN_clear_free(object); }
    void operator()(cjose_header_t* object) const { ::cjose_header_release(object); }
    void operator()(cjose_jws_t* object) const { ::cjose_jws_release(object); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

// One number of a key, big-endian; wiped.
class Number {
public:
    Number(const EVP_PKEY* key, const char* name, std::size_t size = 0) {
        BIGNUM* found = nullptr;
        if (::EVP_PKEY_get_bn_param(key, name, &found) != 1) return;
        const Owned<BIGNUM> number(found);
        const auto needed = static_cast<std::size_t>(BN_num_bytes(number.get()));
        bytes_.resize(std::max(size, needed));
        ::BN_bn2binpad(number.get(), bytes_.data(), static_cast<int>(bytes_.size()));
    }
    Number(const Number&) = delete;
    Number& operator=(const Number&) = delete;
    ~Number() { ::OPENSSL_cleanse(bytes_.data(), bytes_.size()); }
    [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }

private:
    std::vector<std::uint8_t> bytes_;
};

cjose_jwk_t* make_rsa(const EVP_PKEY* key) {
    Number e(key, OSSL_PKEY_PARAM_RSA_E);
    Number n(key, OSSL_PKEY_PARAM_RSA_N);
    Number d(key, OSSL_PKEY_PARAM_RSA_D);
    Number p(key, OSSL_PKEY_PARAM_RSA_FACTOR1);
    Number q(key, OSSL_PKEY_PARAM_RSA_FACTOR2);
    Number dp(key, OSSL_PKEY_PARAM_RSA_EXPONENT1);
    Number dq(key, OSSL_PKEY_PARAM_RSA_EXPONENT2);
    Number qi(key, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
    const cjose_jwk_rsa_keyspec spec = {e.data(), e.size(), n.data(),  n.size(),  d.data(),  d.size(),
                                        p.data(), p.size(), q.data(),  q.size(),  dp.data(), dp.size(),
                                        dq.data(), dq.size(), qi.data(), qi.size()};
    cjose_err error{};
    return ::cjose_jwk_create_RSA_spec(&spec, &error);
}

cjose_jwk_t* make_ec(const EVP_PKEY* key) {
    constexpr std::size_t kBytes = 32;  // P-256
    Number d(key, OSSL_PKEY_PARAM_PRIV_KEY, kBytes);
    Number x(key, OSSL_PKEY_PARAM_EC_PUB_X, kBytes);
    Number y(key, OSSL_PKEY_PARAM_EC_PUB_Y, kBytes);
    const cjose_jwk_ec_keyspec spec = {CJOSE_JWK_EC_P_256, d.data(), d.size(), x.data(), x.size(), y.data(), y.size()};
    cjose_err error{};
    return ::cjose_jwk_create_EC_spec(&spec, &error);
}

bool is_on_p256(const EVP_PKEY* key) {
    char name[64] = {};
    std::size_t length = 0;
    return ::EVP_PKEY_get_group_name(key, name, sizeof name, &length) == 1 &&
           std::string_view(name, length) == "prime256v1";
}

// A key with a passphrase is a refusal, never a question at whatever terminal there is.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return -1; }

}  // namespace

Result<SigningKey> SigningKey::parse(const Secret& pem) {
    const std::string_view text = pem.reveal();
    const Owned<BIO> reader(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    const Owned<EVP_PKEY> key(::PEM_read_bio_PrivateKey(reader.get(), nullptr, no_passphrase, nullptr));
    ::ERR_clear_error();
    if (!key) return Error{Errc::InvalidProfile, "holds no private key in PEM without a passphrase"};
    if (EVP_PKEY_is_a(key.get(), "RSA") == 1) {
        if (EVP_PKEY_get_bits(key.get()) < kRsaBitsMin) {
            return Error{Errc::InvalidProfile,
                         "holds an RSA key of less than " + std::to_string(kRsaBitsMin) + " bits"};
        }
        if (cjose_jwk_t* jwk = make_rsa(key.get())) return SigningKey(jwk, SigningAlgorithm::Rs256);
    } else if (EVP_PKEY_is_a(key.get(), "EC") == 1 && is_on_p256(key.get())) {
        if (cjose_jwk_t* jwk = make_ec(key.get())) return SigningKey(jwk, SigningAlgorithm::Es256);
    }
    ::ERR_clear_error();
    return Error{Errc::InvalidProfile, "holds a key that cannot sign: RSA, or an EC key on P-256, is needed"};
}

SigningKey::SigningKey(SigningKey&& other) noexcept
    : jwk_(std::exchange(other.jwk_, nullptr)), algorithm_(other.algorithm_) {}

SigningKey& SigningKey::operator=(SigningKey&& other) noexcept {
    std::swap(jwk_, other.jwk_);
    algorithm_ = other.algorithm_;
    return *this;
}

SigningKey::~SigningKey() {
    if (jwk_ != nullptr) ::cjose_jwk_release(static_cast<cjose_jwk_t*>(jwk_));
}

Result<Secret> SigningKey::sign(const std::string& claims, const std::string& type, const std::string& key_id) const {
    cjose_err error{};
    const auto fail = [&]() -> Error {
        return {Errc::Internal, std::string("a token cannot be signed: ") + error.message};
    };
    const Owned<cjose_header_t> header(::cjose_header_new(&error));
    const char* algorithm = algorithm_ == SigningAlgorithm::Rs256 ? CJOSE_HDR_ALG_RS256 : CJOSE_HDR_ALG_ES256;
    if (!header || !::cjose_header_set(header.get(), CJOSE_HDR_ALG, algorithm, &error)) return fail();
    if (!type.empty() && !::cjose_header_set(header.get(), "typ", type.c_str(), &error)) return fail();
    if (!key_id.empty() && !::cjose_header_set(header.get(), CJOSE_HDR_KID, key_id.c_str(), &error)) return fail();
    const Owned<cjose_jws_t> token(::cjose_jws_sign(static_cast<cjose_jwk_t*>(jwk_), header.get(),
                                                    reinterpret_cast<const std::uint8_t*>(claims.data()),
                                                    claims.size(), &error));
    const char* compact = nullptr;
    if (!token || !::cjose_jws_export(token.get(), &compact, &error)) return fail();
    return Secret(compact);
}

}  // namespace sanctum::vault
