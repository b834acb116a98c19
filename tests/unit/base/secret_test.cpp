// SPDX-License-Identifier: Apache-2.0
#include "base/secret.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>

namespace sanctum {
namespace {

static_assert(!std::is_copy_constructible_v<Secret>);
static_assert(!std::is_copy_assignable_v<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<std::string_view, Secret>);

TEST(Secret, BytesComeBackAsTheyWereNulsIncluded) {
    const std::string_view bytes("a\0b", 3);
    EXPECT_EQ(Secret(bytes).reveal(), bytes);
}

TEST(Secret, AMovedSecretIsEmptyAndTheOtherHasIt) {
    Secret one(std::string_view("token"));
    Secret two = std::move(one);
    EXPECT_EQ(two.reveal(), "token");
    EXPECT_TRUE(one.is_empty());  // NOLINT(bugprone-use-after-move)
    Secret three(std::string_view("older"));
    three = std::move(two);
    EXPECT_EQ(three.reveal(), "token");
    three = std::move(*&three);
    EXPECT_EQ(three.reveal(), "token");
}

TEST(Secret, EqualBytesAreEqualAndAnyOtherBytesAreNot) {
    const Secret secret(std::string_view("token"));
    EXPECT_TRUE(secret.equals(secret.duplicate()));
    for (const std::string_view other : {"Token", "tokeN", "toke", "tokens", ""}) {
        EXPECT_FALSE(secret.equals(Secret(other))) << other;
    }
    EXPECT_TRUE(Secret().equals(Secret(std::string_view())));
}

TEST(Secret, WipeLeavesNothing) {
    std::array<char, 6> bytes = {'t', 'o', 'k', 'e', 'n', '!'};
    wipe(bytes);
    EXPECT_EQ(std::string(bytes.data(), bytes.size()), std::string(6, '\0'));
    wipe({});
}

}  // namespace
}  // namespace sanctum
