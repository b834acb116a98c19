// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/read_buffer.hpp"

#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace sanctum::interceptor {
namespace {

/// Buffers that nobody holds.
std::vector<std::unique_ptr<char[]>>& kept() {
    thread_local std::vector<std::unique_ptr<char[]>> buffers;
    return buffers;
}

}  // namespace

ReadBuffer::ReadBuffer(ReadBuffer&& other) noexcept
    : bytes_(std::move(other.bytes_)), filled_(std::exchange(other.filled_, 0)) {}

std::span<char> ReadBuffer::take() {
    if (bytes_ == nullptr && !kept().empty()) {
        bytes_ = std::move(kept().back());
        kept().pop_back();
    } else if (bytes_ == nullptr) {
        bytes_ = std::make_unique<char[]>(kReadBytes);
    }
    return {bytes_.get(), kReadBytes};
}

std::span<char> ReadBuffer::filled(std::size_t count) {
    SANCTUM_ASSERT(bytes_ != nullptr && count <= kReadBytes);
    filled_ = std::max(filled_, count);
    return {bytes_.get(), count};
}

void ReadBuffer::release() {
    if (bytes_ == nullptr) return;
    // SECURITY: an upstream may have echoed a credential, which must not outlive its lease here.
    wipe({bytes_.get(), std::exchange(filled_, 0)});
    if (kept().size() < kReadBuffersKeptMax) kept().push_back(std::move(bytes_));
    bytes_.reset();
}

}  // namespace sanctum::interceptor
