// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace sanctum {
namespace {

Result<int> half_of(int number) {
    if (number % 2 != 0) return Error{Errc::Denied, "odd"};
    return number / 2;
}

Result<int> quarter_of(int number) {
    SANCTUM_TRY(const int half, half_of(number));
    return half_of(half);
}

Status count_and(int* calls, Status status) {
    ++*calls;
    return status;
}

Status check_all(int* calls) {
    const Error full{Errc::Limit, "full"};
    SANCTUM_CHECK(count_and(calls, {}));
    SANCTUM_CHECK(count_and(calls, full));
    SANCTUM_CHECK(count_and(calls, {}));
    return {};
}

TEST(Result, AValueIsPassedOnByTry) { EXPECT_EQ(*quarter_of(8), 2); }

TEST(Result, AnErrorIsPassedOnByTryUnchanged) {
    const Result<int> result = quarter_of(6);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::Denied);
    EXPECT_EQ(result.error().what, "odd");
}

TEST(Result, CheckStopsAtTheFirstError) {
    int calls = 0;
    const Status status = check_all(&calls);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().what, "full");
    EXPECT_EQ(calls, 2);
}

TEST(Result, MoveOnlyValuesComeOut) {
    Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
    const std::unique_ptr<int> value = std::move(result).value();
    EXPECT_EQ(*value, 7);
}

// Reading the wrong side is a bug of ours; it must not go on with a value that is not there.
TEST(ResultDeathTest, ReadingAValueThatIsNotThereEndsTheProcess) {
    const auto read = [](const Result<int>& result) noexcept { return *result; };
    EXPECT_EQ(read(half_of(2)), 1);
    EXPECT_DEATH(static_cast<void>(read(half_of(1))), "");
}

TEST(Error, AnErrorOfACallSaysWhatWhereAndKeepsTheNumber) {
    errno = ENOENT;
    const Error error = io_error("open /x").in("profile");
    EXPECT_EQ(error.what, "profile: open /x: No such file or directory");
    EXPECT_EQ(error.sys_errno, ENOENT);
    EXPECT_EQ(error.code, Errc::Io);
}

TEST(AssertDeathTest, ABrokenInvariantEndsTheProcessAndNamesItself) {
    EXPECT_DEATH(SANCTUM_ASSERT(1 + 1 == 3), "1 \\+ 1 == 3");
    SANCTUM_ASSERT(1 + 1 == 2);
}

}  // namespace
}  // namespace sanctum
