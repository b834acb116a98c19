// SPDX-License-Identifier: Apache-2.0
// Secret: bytes that grant access. Move-only, wiped, and without any way to be printed or compared in variable time.
#pragma once

#include <cstddef>
#include <memory>
#include <ostream>
#include <span>
#include <string_view>

namespace sanctum {

/// Owns secret bytes on the heap; wiped on destruction and when moved from.
/// SECURITY: there is no conversion to std::string, no operator<<, no ==; reveal() is the one word to search for.
class Secret {
public:
    Secret() noexcept = default;
    /// Copies `bytes`; the caller wipes its own copy (see wipe()).
    explicit Secret(std::string_view bytes);
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret();

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }

    /// The bytes, valid while this object lives. Callers must not store a copy.
    [[nodiscard]] std::string_view reveal() const noexcept { return {bytes_.get(), size_}; }

    /// A second owned copy, wiped like this one.
    [[nodiscard]] Secret duplicate() const { return Secret(reveal()); }

    /// Equal in constant time (over the longer length class; lengths are not hidden).
    [[nodiscard]] bool equals(const Secret& other) const noexcept;

    bool operator==(const Secret&) const = delete;

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

/// SECURITY: a Secret never reaches a stream, by type.
std::ostream& operator<<(std::ostream&, const Secret&) = delete;

/// Overwrites memory in a way the compiler keeps (explicit_bzero(3)).
void wipe(std::span<char> bytes) noexcept;

}  // namespace sanctum
