// SPDX-License-Identifier: Apache-2.0
#include "base/mission_id.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sanctum {
namespace {

TEST(MissionId, WhatIsMadeIsAUlidAndNoTwoAreEqual) {
    std::set<std::string> made;
    for (int i = 0; i < 10'000; ++i) {
        const std::string id = make_ulid({1'795'313'172'001});
        ASSERT_TRUE(is_ulid(id)) << id;
        ASSERT_TRUE(made.insert(id).second) << id;
    }
}

TEST(MissionId, LaterOnesSortBehindEarlierOnes) {
    EXPECT_LT(make_ulid({1'795'313'172'001}), make_ulid({1'795'313'172'002}));
    EXPECT_LT(make_ulid({0}), make_ulid({281'474'976'710'655}));
    EXPECT_EQ(make_ulid({0}).substr(0, 10), "0000000000");
    EXPECT_EQ(make_ulid({281'474'976'710'655}).substr(0, 10), "7zzzzzzzzz");
}

// An id becomes a file name: whatever else somebody hands in must not.
TEST(MissionId, AnythingElseIsNoUlid) {
    const std::string good = make_ulid({1});
    EXPECT_TRUE(is_ulid(good));
    for (const std::string& bad :
         {std::string(), good.substr(1), good + "0", "../" + good.substr(3), "/" + good.substr(1),
          good.substr(0, 25) + "I", good.substr(0, 25) + "u", good.substr(0, 25) + "l", good.substr(0, 25) + "o",
          good.substr(0, 25) + "A", good.substr(0, 25) + std::string(1, '\0'), std::string(26, '.')}) {
        EXPECT_FALSE(is_ulid(bad)) << bad;
    }
}

}  // namespace
}  // namespace sanctum
