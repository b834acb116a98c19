// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using std::chrono::milliseconds;

UniqueFd ready_descriptor() { return UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)); }

TEST(EventLoop, CallsBackOncePerReadyDescriptorAndTurn) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    const UniqueFd ready = ready_descriptor();
    const UniqueFd idle(::eventfd(0, EFD_CLOEXEC));
    int calls = 0;
    int idle_calls = 0;
    ASSERT_TRUE(loop->watch(ready.get(), EPOLLIN, [&](std::uint32_t) { ++calls; }));
    ASSERT_TRUE(loop->watch(idle.get(), EPOLLIN, [&](std::uint32_t) { ++idle_calls; }));

    ASSERT_TRUE(loop->turn(milliseconds(0)));
    ASSERT_TRUE(loop->turn(milliseconds(0)));

    EXPECT_EQ(calls, 2);
    EXPECT_EQ(idle_calls, 0);
}

TEST(EventLoop, ACallbackMayForgetItselfAndOthers) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    const UniqueFd first = ready_descriptor();
    const UniqueFd second = ready_descriptor();
    int calls = 0;
    const auto forget_both = [&](std::uint32_t) {
        ++calls;
        loop->forget(first.get());
        loop->forget(second.get());
    };
    ASSERT_TRUE(loop->watch(first.get(), EPOLLIN, forget_both));
    ASSERT_TRUE(loop->watch(second.get(), EPOLLIN, forget_both));

    ASSERT_TRUE(loop->turn(milliseconds(0)));
    ASSERT_TRUE(loop->turn(milliseconds(0)));

    EXPECT_EQ(calls, 1);
}

// The number of a closed descriptor is given out again at once; its old readiness must not reach the new owner.
TEST(EventLoop, AReusedNumberDoesNotGetTheOldOnesEvents) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop);
    UniqueFd first = ready_descriptor();
    UniqueFd second = ready_descriptor();
    UniqueFd fresh;
    int fresh_calls = 0;
    const auto replace = [&](UniqueFd& other) {
        if (fresh) return;
        const int number = other.get();
        loop->forget(number);
        other.reset();
        fresh.reset(::eventfd(0, EFD_CLOEXEC));
        ASSERT_EQ(fresh.get(), number);
        ASSERT_TRUE(loop->watch(fresh.get(), EPOLLIN, [&](std::uint32_t) { ++fresh_calls; }));
    };
    ASSERT_TRUE(loop->watch(first.get(), EPOLLIN, [&](std::uint32_t) { replace(second); }));
    ASSERT_TRUE(loop->watch(second.get(), EPOLLIN, [&](std::uint32_t) { replace(first); }));

    ASSERT_TRUE(loop->turn(milliseconds(0)));

    EXPECT_TRUE(fresh.is_open());
    EXPECT_EQ(fresh_calls, 0);
}

}  // namespace
}  // namespace sanctum::launcher
