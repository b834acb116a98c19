// SPDX-License-Identifier: Apache-2.0
// SHA-256, one-shot and incremental, over OpenSSL's EVP.
#pragma once

#include "base/wire/archive.hpp"

#include <memory>
#include <string_view>

namespace sanctum {

using wire::Digest;

/// SHA-256 of `bytes` (FIPS 180-4).
[[nodiscard]] Digest sha256(std::string_view bytes);

/// Incremental SHA-256. finish() may be called once; the object is then empty.
class Sha256 {
public:
    Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();
    void update(std::string_view bytes);
    [[nodiscard]] Digest finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sanctum
