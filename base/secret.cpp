// SPDX-License-Identifier: Apache-2.0
#include "base/secret.hpp"

#include <cstring>
#include <utility>

namespace sanctum {

Secret::Secret(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(bytes_.get(), bytes.data(), bytes.size());
}

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe({bytes_.get(), size_});
        bytes_ = std::move(other.bytes_);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

Secret::~Secret() { wipe({bytes_.get(), size_}); }

bool Secret::equals(const Secret& other) const noexcept {
    if (size_ != other.size_) return false;
    unsigned char difference = 0;
    for (std::size_t i = 0; i < size_; ++i) {
        const unsigned char one = static_cast<unsigned char>(bytes_[i]);
        const unsigned char two = static_cast<unsigned char>(other.bytes_[i]);
        difference = static_cast<unsigned char>(difference | (one ^ two));
    }
    return difference == 0;
}

void wipe(std::span<char> bytes) noexcept {
    if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
}

}  // namespace sanctum
