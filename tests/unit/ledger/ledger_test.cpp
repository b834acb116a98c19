// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "ledger/read_ledger.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace sanctum::ledger::test {
namespace {

std::vector<Durable> wait_for_durable(Ledger& ledger, std::size_t wanted) {
    std::vector<Durable> out;
    while (out.size() < wanted) {
        pollfd watched{ledger.durable_fd(), POLLIN, 0};
        if (::poll(&watched, 1, 10'000) != 1) break;
        for (const Durable& durable : ledger.poll_durable()) out.push_back(durable);
    }
    return out;
}

std::vector<std::string> types_in(const Scratch& scratch) {
    std::vector<std::string> types;
    const Status read = for_each_record(scratch.mission(), [&](const ReadRecord& record, const std::string&) {
        types.emplace_back(type_of(record.record));
        return true;
    });
    EXPECT_TRUE(read);
    return types;
}

TEST(Ledger, ASealedMissionVerifiesAsSealed) {
    const Scratch scratch;

    write_sealed(scratch, 40);

    const Verification verification = verify(scratch);
    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    EXPECT_EQ(verification.receipt.counts.refused.at("resource_outside"), 10U);
    EXPECT_EQ(verification.unknown_outcomes, 0U);
}

TEST(Ledger, HeadsAreSignedAtTheStartAndAtTheEnd) {
    const Scratch scratch;

    write_sealed(scratch, 20);

    const std::vector<std::string> types = types_in(scratch);
    EXPECT_EQ(types[0], "mission.started");
    EXPECT_EQ(types[1], "head.signed");
    EXPECT_EQ(types[types.size() - 2], "mission.ended");
    EXPECT_EQ(types.back(), "head.signed");
}

TEST(Ledger, HeadsAreSignedAlongTheWay) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    for (std::uint64_t i = 1; i <= 2 * kLedgerHeadRecords; ++i) ledger->append(outcome(i));
    ASSERT_TRUE(ledger->seal(ended()));

    const std::vector<std::string> types = types_in(scratch);

    EXPECT_EQ(std::count(types.begin(), types.end(), "head.signed"), 4);
}

TEST(Ledger, ADurableRecordIsOnDiskWhenItIsAnswered) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());

    ledger->append_durable(intent(1), 41);
    ledger->append_durable(intent(2), 42);
    const std::vector<Durable> answers = wait_for_durable(*ledger, 2);

    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(answers[0].token, 41U);
    EXPECT_TRUE(answers[0].ok);
    EXPECT_EQ(answers[1].token, 42U);
    EXPECT_TRUE(answers[1].ok);
    EXPECT_THAT(read(scratch.ledger()), ::testing::HasSubstr("\"e2\""));
}

TEST(Ledger, WhatIsGatheredIsHandedOverTogetherAndInOrder) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    const auto bytes = [&] { return std::filesystem::file_size(scratch.mission() + "/ledger.jsonl"); };
    ledger->append(started());
    ASSERT_TRUE(ledger->flush());
    const auto before = bytes();
    {
        const Gathering gathering(*ledger);
        ledger->append(intent(1));
        ledger->append(outcome(1));
        ledger->append_durable(intent(2), 7);
        EXPECT_EQ(bytes(), before) << "the writer has not been told";
    }
    ASSERT_EQ(wait_for_durable(*ledger, 1).size(), 1U);
    EXPECT_GT(bytes(), before);
    ASSERT_TRUE(ledger->seal(ended()));

    using ::testing::ElementsAre;
    EXPECT_THAT(types_in(scratch), ElementsAre("mission.started", "head.signed", "exchange.intent", "exchange.outcome",
                                               "exchange.intent", "mission.ended", "head.signed"));
}

TEST(Ledger, NothingThatWasGatheredIsMissingFromAFlushOrASeal) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    const Gathering gathering(*ledger);
    ledger->append(intent(1));
    ASSERT_TRUE(ledger->flush());
    EXPECT_EQ(types_in(scratch).back(), "exchange.intent");
    ledger->gather();
    for (std::uint64_t i = 2; i < 2 + kLedgerGatheredMax; ++i) ledger->append(intent(i));
    ledger->append(outcome(1));
    ASSERT_TRUE(ledger->seal(ended()));

    const std::vector<std::string> types = types_in(scratch);
    EXPECT_EQ(std::count(types.begin(), types.end(), "exchange.intent"), 1 + kLedgerGatheredMax);
    EXPECT_EQ(std::count(types.begin(), types.end(), "exchange.outcome"), 1);
}

TEST(Ledger, OrdinaryRecordsAreNotAnswered) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    ASSERT_TRUE(ledger->flush());

    EXPECT_TRUE(ledger->poll_durable().empty());
}

TEST(Ledger, AllFilesAreTheOwnersAlone) {
    const Scratch scratch;
    write_sealed(scratch, 20);

    for (const std::string name : {"/ledger.jsonl", "/receipt.json", "/mission.json"}) {
        struct stat status {};
        ASSERT_EQ(::stat((scratch.mission() + name).c_str(), &status), 0) << name;
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
    }
    EXPECT_FALSE(std::filesystem::exists(scratch.mission() + "/reserve"));
}

TEST(Ledger, AFolderThatOthersCanReadIsRefused) {
    const Scratch scratch;
    std::filesystem::create_directories(scratch.mission());
    ::chmod(scratch.mission().c_str(), 0755);

    const auto ledger = Ledger::create(scratch.mission(), kMission, "{}", scratch.receipts(), scratch.signing_key(),
                                       ManualClock());

    ASSERT_FALSE(ledger);
    EXPECT_EQ(ledger.error().code, Errc::NotPermitted);
}

// AUD-13
TEST(Ledger, AnExistingFileOrLinkInItsPlaceIsRefused) {
    const Scratch scratch;
    std::filesystem::create_directories(scratch.mission());
    ::chmod(scratch.mission().c_str(), 0700);
    std::filesystem::create_symlink("/tmp/elsewhere", scratch.ledger());

    EXPECT_FALSE(Ledger::create(scratch.mission(), kMission, "{}", scratch.receipts(), scratch.signing_key(),
                                ManualClock()));
    EXPECT_FALSE(open_ledger(scratch.mission()));
}

TEST(Ledger, AFolderNameThatIsNoMissionIsRefused) {
    const Scratch scratch;

    EXPECT_FALSE(Ledger::create(scratch.path() + "/missions/x", "../x", "{}", scratch.receipts(),
                                scratch.signing_key(), ManualClock()));
}

// AUD-16, RES-12: a flood neither fills the file nor hides in it.
TEST(Ledger, AFloodOfRefusalsIsCountedExactly) {
    constexpr std::uint64_t kFlood = 20'000;
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    for (std::uint64_t i = 1; i <= kFlood; ++i) {
        wire::ExchangeRefused one = refused(i);
        one.path = "/" + std::to_string(i);
        ledger->append(one);
        ledger->append(ConnectionRefused{"192.0.2.1:" + std::to_string(i), "no_listener", std::nullopt});
    }
    ASSERT_TRUE(ledger->seal(ended()));

    const Verification verification = verify(scratch);

    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    EXPECT_EQ(verification.receipt.counts.refused.at("resource_outside"), kFlood);
    EXPECT_EQ(verification.receipt.counts.connections_refused.at("no_listener"), kFlood);
    EXPECT_LT(verification.records, 2 * kLedgerRefusalsSinglePerSecond);
}

TEST(Ledger, RefusalsInDifferentSecondsAreWrittenOneByOne) {
    const Scratch scratch;
    ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    for (std::uint64_t i = 1; i <= 200; ++i) {
        ledger->append(refused(i));
        clock.advance(Milliseconds(25));
    }
    ASSERT_TRUE(ledger->seal(ended()));

    EXPECT_THAT(read(scratch.ledger()), ::testing::Not(::testing::HasSubstr("repeated")));
    EXPECT_EQ(verify(scratch).receipt.counts.refused.at("resource_outside"), 200U);
}

TEST(Ledger, TheRefusalThatEndsAnExchangeIsNeverCountedAway) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    for (std::uint64_t i = 1; i <= 500; ++i) {
        ledger->append(intent(i));
        wire::ExchangeRefused failed = refused(i);
        failed.reason = "credential_unavailable";
        failed.status = 503;
        ledger->append(failed);
    }
    ASSERT_TRUE(ledger->seal(ended()));

    const Verification verification = verify(scratch);

    EXPECT_EQ(verification.unknown_outcomes, 0U);
    EXPECT_TRUE(verification.receipt.services.at(0).used.empty());  // nothing was sent
}

TEST(Ledger, AppendingFromAFastThreadLosesNothing) {
    constexpr std::uint64_t kMany = kLedgerQueueRecordsMax + 1000;
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    for (std::uint64_t i = 1; i <= kMany; ++i) ledger->append(outcome(i));
    ASSERT_TRUE(ledger->seal(ended()));

    EXPECT_EQ(verify(scratch).receipt.counts.outcomes.at("complete"), kMany);
}

}  // namespace
}  // namespace sanctum::ledger::test
