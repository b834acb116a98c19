// SPDX-License-Identifier: Apache-2.0
// WipedBytes: bytes that hold secrets while they are gathered or sent; no place they were in keeps them.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace sanctum::vault {

/// A growing row of bytes, wiped when it moves, shrinks or goes. Not copyable. Like Secret without a way to be printed;
/// Secret is for whole values, this for the pieces of a message.
class WipedBytes {
public:
    WipedBytes() noexcept = default;
    WipedBytes(WipedBytes&& other) noexcept;
    WipedBytes& operator=(WipedBytes&& other) noexcept;
    WipedBytes(const WipedBytes&) = delete;
    WipedBytes& operator=(const WipedBytes&) = delete;
    ~WipedBytes();

    /// Copies `bytes` to the end; the caller wipes its own copy.
    void append(std::string_view bytes);
    /// Forgets the first `count` bytes, at most size().
    void drop_front(std::size_t count) noexcept;
    void clear() noexcept { drop_front(size_); }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }
    /// The bytes, valid until the next change. Callers must not store a copy.
    [[nodiscard]] std::string_view reveal() const noexcept { return {bytes_.get(), size_}; }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
    std::size_t room_ = 0;
};

}  // namespace sanctum::vault
