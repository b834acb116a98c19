// SPDX-License-Identifier: Apache-2.0
// Records on their way to the launcher: order, back-pressure, and "no record, no action".
#include "interceptor/recorder.hpp"
#include "loop_runs.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace sanctum::interceptor {
namespace {

net::awaitable<void> record(WireRecorder& recorder, std::uint64_t exchange, bool durable,
                            std::optional<Status>& result) {
    wire::ExchangeIntent intent;
    intent.exchange = exchange;
    intent.durable = durable;
    intent.path = "/" + std::string(1000, 'p');
    Status handed = co_await recorder.intent(intent);
    result.emplace(std::move(handed));
}

class RecorderTest : public testing::Test {
protected:
    RecorderTest() {
        auto ends = wire::make_channel_pair();
        launcher_ = wire::Channel(std::move(ends->first));
        port_ = std::make_unique<WirePort>(*loop_, wire::Channel(std::move(ends->second)));
        recorder_ = std::make_unique<WireRecorder>(*loop_, *port_, [this](const Error&) { ++broken_; });
    }
    void begin(std::uint64_t exchange, bool durable, std::optional<Status>& result) {
        loop_->spawn(record(*recorder_, exchange, durable, result));
        loop_->run_ready();
    }

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    wire::Channel launcher_;
    std::unique_ptr<WirePort> port_;
    std::unique_ptr<WireRecorder> recorder_;
    int broken_ = 0;
};

TEST_F(RecorderTest, AReadsIntentIsInTheSocketBeforeItCompletes) {
    std::optional<Status> result;
    begin(1, false, result);

    ASSERT_TRUE(result && result->has_value());
    const auto packet = launcher_.receive();
    ASSERT_TRUE(packet && *packet);
    EXPECT_EQ((*packet)->as<wire::ExchangeIntent>()->exchange, 1U);
}

TEST_F(RecorderTest, ADurableIntentWaitsForItsOwnAnswer) {
    std::optional<Status> first;
    std::optional<Status> second;
    static_cast<void>(recorder_->next_exchange());
    static_cast<void>(recorder_->next_exchange());
    begin(1, true, first);
    begin(2, true, second);
    EXPECT_FALSE(first || second);

    EXPECT_TRUE(recorder_->recorded({2, true}).has_value());
    loop_->run_ready();
    EXPECT_FALSE(first);
    ASSERT_TRUE(second && second->has_value());

    EXPECT_TRUE(recorder_->recorded({1, false}).has_value());
    loop_->run();
    ASSERT_TRUE(first && !first->has_value());
    EXPECT_EQ(first->error().code, Errc::Io);
}

TEST_F(RecorderTest, AnAnswerForAnExchangeThatNeverWasIsAFault) {
    EXPECT_EQ(recorder_->recorded({7, true}).error().code, Errc::Protocol);
}

TEST_F(RecorderTest, WithoutALauncherNothingIsRecordedAndTheMissionIsTold) {
    launcher_.close();
    std::optional<Status> first;
    std::optional<Status> second;
    begin(1, false, first);
    begin(2, true, second);

    ASSERT_TRUE(first && !first->has_value() && second && !second->has_value());
    EXPECT_EQ(broken_, 1);
}

TEST_F(RecorderTest, ClosingEndsTheWaitForADurableRecord) {
    std::optional<Status> result;
    begin(1, true, result);
    recorder_->close();
    loop_->run();

    ASSERT_TRUE(result && !result->has_value());
    EXPECT_EQ(result->error().code, Errc::Cancelled);
}

net::awaitable<void> read_all_after_a_while(Loop& loop, wire::Channel& launcher, std::uint64_t last, bool& in_order) {
    for (std::uint64_t expected = 1; expected <= last;) {
        const auto packet = launcher.receive();
        if (!packet) co_return;
        if (!*packet) {
            co_await loop.yield_turn();
            continue;
        }
        const auto intent = (*packet)->as<wire::ExchangeIntent>();
        in_order = in_order && intent && intent->exchange == expected;
        ++expected;
    }
}

// A launcher that is slow holds intents back; none is lost and none overtakes another.
TEST_F(RecorderTest, ASlowLauncherHoldsIntentsBackInOrder) {
    constexpr std::uint64_t kCount = 600;
    std::vector<std::optional<Status>> results(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) begin(i + 1, false, results[i]);
    EXPECT_TRUE(results.front().has_value());
    EXPECT_FALSE(results.back().has_value());

    bool in_order = true;
    loopback::run(*loop_, read_all_after_a_while(*loop_, launcher_, kCount, in_order));

    EXPECT_TRUE(in_order);
    for (const auto& result : results) ASSERT_TRUE(result && result->has_value());
    EXPECT_EQ(broken_, 0);
}

net::awaitable<void> wait_idle(WireRecorder& recorder, bool& is_idle) {
    co_await recorder.wait_idle(seconds(60));
    is_idle = true;
}

TEST_F(RecorderTest, IsIdleWhenEveryIntentHasItsOutcome) {
    std::optional<Status> result;
    begin(1, false, result);
    bool is_idle = false;
    loop_->spawn(wait_idle(*recorder_, is_idle));
    loop_->run_ready();
    EXPECT_FALSE(is_idle);

    wire::ExchangeOutcome outcome;
    outcome.exchange = 1;
    recorder_->outcome(outcome);
    loop_->run();

    EXPECT_TRUE(is_idle);
}

}  // namespace
}  // namespace sanctum::interceptor
