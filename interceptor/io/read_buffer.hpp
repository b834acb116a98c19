// SPDX-License-Identifier: Apache-2.0
// ReadBuffer: memory to read into, held while there is something to read. A connection that waits needs none, and
// most of them wait most of the time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace sanctum::interceptor {

/// kReadBytes of memory of this thread, or nothing. Not to be moved to another thread.
class ReadBuffer {
public:
    ReadBuffer() = default;
    ~ReadBuffer() { release(); }
    ReadBuffer(const ReadBuffer&) = delete;
    ReadBuffer& operator=(const ReadBuffer&) = delete;
    ReadBuffer(ReadBuffer&& other) noexcept;
    ReadBuffer& operator=(ReadBuffer&&) = delete;

    /// The whole of it, got when it is not held; its bytes may be anything.
    [[nodiscard]] std::span<char> take();
    /// The first `count` bytes, which were read into it; release() wipes the most that was ever asked for.
    [[nodiscard]] std::span<char> filled(std::size_t count);
    /// Gives it back, wiped. What filled() returned is gone. Idempotent.
    void release();
    [[nodiscard]] bool is_held() const { return bytes_ != nullptr; }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t filled_ = 0;
};

}  // namespace sanctum::interceptor
