// SPDX-License-Identifier: Apache-2.0
#include "vault/locked_bytes.hpp"

#include "base/result.hpp"

#include <cstring>
#include <sodium.h>
#include <utility>

namespace sanctum::vault {

void start_sodium() {
    static const int started = ::sodium_init();
    SANCTUM_ASSERT(started >= 0);
}

LockedBytes::LockedBytes(std::size_t size) : size_(size) {
    start_sodium();
    // One byte at least: sodium_malloc(0) gives a pointer that may not be touched, which is of no use to anybody.
    data_ = static_cast<unsigned char*>(::sodium_malloc(size == 0 ? 1 : size));
    SANCTUM_ASSERT(data_ != nullptr);
    std::memset(data_, 0, size);
}

LockedBytes::LockedBytes(std::string_view bytes) : LockedBytes(bytes.size()) {
    if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
}

LockedBytes::LockedBytes(LockedBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

LockedBytes& LockedBytes::operator=(LockedBytes&& other) noexcept {
    if (this != &other) {
        ::sodium_free(data_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

LockedBytes::~LockedBytes() { ::sodium_free(data_); }

void LockedBytes::shrink(std::size_t size) noexcept {
    if (size >= size_) return;
    ::sodium_memzero(data_ + size, size_ - size);
    size_ = size;
}

}  // namespace sanctum::vault
