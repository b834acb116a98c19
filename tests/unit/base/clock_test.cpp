// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace sanctum {
namespace {

TEST(Clock, AManualClockStandsUntilItIsTurnedAndTurnsBothTimes) {
    ManualClock clock;
    const WallTime wall = clock.wall();
    const BootTime boot = clock.boot();
    EXPECT_EQ(clock.wall(), wall);
    clock.advance(Milliseconds(1500));
    EXPECT_EQ(clock.wall().unix_ms, wall.unix_ms + 1500);
    EXPECT_EQ(clock.boot(), boot.plus(Milliseconds(1500)));
}

TEST(Clock, TheMachinesClocksDoNotGoBack) {
    const SystemClock clock;
    const BootTime before = clock.boot();
    EXPECT_GE(clock.boot(), before);
    EXPECT_GT(clock.wall().unix_ms, 1'700'000'000'000);
}

TEST(Rfc3339, TimesAreInUtcWithMilliseconds) {
    EXPECT_EQ(format_rfc3339({1'795'313'172'001}), "2026-11-22T02:06:12.001Z");
    EXPECT_EQ(format_rfc3339({0}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_rfc3339({951'782'400'999}), "2000-02-29T00:00:00.999Z");
}

}  // namespace
}  // namespace sanctum
