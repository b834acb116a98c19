// SPDX-License-Identifier: Apache-2.0
// LockedBytes: key material and opened values in memory that is fenced by guard pages, locked against swapping where
// the machine allows it, and wiped (sodium_malloc(3)). Secret is for values on their way; this is where they rest.
#pragma once

#include "base/secret.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace sanctum::vault {

/// `text` as libsodium takes bytes.
[[nodiscard]] inline const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// Owns `size` bytes of such memory, zeroed. Move-only; like Secret without streaming or comparing.
class LockedBytes {
public:
    LockedBytes() noexcept = default;
    explicit LockedBytes(std::size_t size);
    /// Copies `bytes`; the caller wipes its own copy.
    explicit LockedBytes(std::string_view bytes);
    LockedBytes(LockedBytes&& other) noexcept;
    LockedBytes& operator=(LockedBytes&& other) noexcept;
    LockedBytes(const LockedBytes&) = delete;
    LockedBytes& operator=(const LockedBytes&) = delete;
    ~LockedBytes();

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }
    [[nodiscard]] unsigned char* data() noexcept { return data_; }
    [[nodiscard]] const unsigned char* data() const noexcept { return data_; }
    /// The bytes, valid while this object lives. Callers must not store a copy.
    [[nodiscard]] std::string_view reveal() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
    [[nodiscard]] std::span<char> writable() noexcept { return {reinterpret_cast<char*>(data_), size_}; }
    /// Forgets everything after the first `size` bytes; `size` at most size().
    void shrink(std::size_t size) noexcept;

    bool operator==(const LockedBytes&) const = delete;

private:
    unsigned char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// sodium_init(3), once per process; aborts when the library cannot work.
void start_sodium();

}  // namespace sanctum::vault
