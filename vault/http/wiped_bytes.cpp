// SPDX-License-Identifier: Apache-2.0
#include "vault/http/wiped_bytes.hpp"

#include "base/result.hpp"
#include "base/secret.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sanctum::vault {
namespace {

constexpr std::size_t kRoomMin = 1024;

}  // namespace

WipedBytes::WipedBytes(WipedBytes&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)), room_(std::exchange(other.room_, 0)) {}

WipedBytes& WipedBytes::operator=(WipedBytes&& other) noexcept {
    if (this == &other) return *this;
    clear();
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    room_ = std::exchange(other.room_, 0);
    return *this;
}

WipedBytes::~WipedBytes() { clear(); }

void WipedBytes::append(std::string_view bytes) {
    if (bytes.empty()) return;
    if (room_ - size_ < bytes.size()) {
        const std::size_t room = std::max({kRoomMin, 2 * room_, size_ + bytes.size()});
        auto larger = std::make_unique<char[]>(room);
        if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
        wipe({bytes_.get(), size_});
        bytes_ = std::move(larger);
        room_ = room;
    }
    std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
}

void WipedBytes::drop_front(std::size_t count) noexcept {
    SANCTUM_ASSERT(count <= size_);
    if (count == 0) return;
    const std::size_t rest = size_ - count;
    std::memmove(bytes_.get(), bytes_.get() + count, rest);
    wipe({bytes_.get() + rest, count});
    size_ = rest;
}

}  // namespace sanctum::vault
