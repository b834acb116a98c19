// SPDX-License-Identifier: Apache-2.0
#include "base/digest.hpp"

#include "base/result.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace sanctum {
namespace {

// Looked up once: finding an algorithm takes OpenSSL longer than hashing a record. No configuration file, which the
// caller's OPENSSL_CONF may name, has a say in it.
const EVP_MD* algorithm() {
    static const EVP_MD* const found = [] {
        OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
        return EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
    }();
    return found;
}

}  // namespace

struct Sha256::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    State() { SANCTUM_ASSERT(context != nullptr && EVP_DigestInit_ex2(context, algorithm(), nullptr) == 1); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
    SANCTUM_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
    Digest out{};
    unsigned int size = 0;
    SANCTUM_ASSERT(EVP_DigestFinal_ex(state_->context, out.data(), &size) == 1 && size == out.size());
    state_.reset();
    return out;
}

Digest sha256(std::string_view bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

}  // namespace sanctum
