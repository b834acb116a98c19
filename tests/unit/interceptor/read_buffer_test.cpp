// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/read_buffer.hpp"

#include "base/limits.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace sanctum::interceptor {
namespace {

TEST(ReadBuffer, IsHeldFromTakeToRelease) {
    ReadBuffer buffer;
    EXPECT_FALSE(buffer.is_held());
    EXPECT_EQ(buffer.take().size(), kReadBytes);
    const char* const place = buffer.take().data();
    EXPECT_EQ(buffer.take().data(), place) << "the same while it is held";
    buffer.release();
    buffer.release();
    EXPECT_FALSE(buffer.is_held());
}

TEST(ReadBuffer, AnotherOneGetsItsMemoryWithoutItsBytes) {
    constexpr std::string_view kSecret = "an echoed credential";
    ReadBuffer first;
    const std::span<char> room = first.take();
    const char* const place = room.data();
    std::copy(kSecret.begin(), kSecret.end(), room.begin());
    EXPECT_EQ(first.filled(kSecret.size()).size(), kSecret.size());
    EXPECT_EQ(first.filled(1).size(), 1U);  // a shorter read into the same bytes
    first.release();

    ReadBuffer second;
    const std::span<char> again = second.take();

    EXPECT_EQ(again.data(), place);
    const std::string_view seen(again.data(), kSecret.size());
    EXPECT_EQ(seen.find_first_not_of('\0'), std::string_view::npos);
}

TEST(ReadBuffer, TwoAtOnceDoNotShare) {
    ReadBuffer one;
    ReadBuffer other;
    EXPECT_NE(one.take().data(), other.take().data());
}

}  // namespace
}  // namespace sanctum::interceptor
