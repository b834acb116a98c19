// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/mission_record.hpp"

#include "tests/unit/launcher/fake_ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::launcher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MissionRecordTest : public testing::Test {
protected:
    MissionRecordTest() {
        profiles::Service git;
        git.name = "git";
        git.catalog = "git-http";
        git.account = "alice";
        git.grant = {"fetch", "push"};
        git.implied = {"fetch", "push"};
        mission.services.push_back(git);
        record = std::make_unique<MissionRecord>(std::make_unique<FakeLedger>(log), mission, catalog);
    }
    static wire::ExchangeIntent intent(std::uint64_t exchange, bool durable = false) {
        wire::ExchangeIntent result;
        result.exchange = exchange;
        result.durable = durable;
        result.service = "git";
        result.needed = {{"push"}};
        return result;
    }
    static wire::ExchangeOutcome outcome(std::uint64_t exchange) {
        wire::ExchangeOutcome result;
        result.exchange = exchange;
        return result;
    }
    static wire::ExchangeRefused refusal(std::uint64_t exchange, const char* reason) {
        wire::ExchangeRefused result;
        result.exchange = exchange;
        result.reason = reason;
        return result;
    }

    FakeLedgerLog log;
    profiles::Mission mission;
    profiles::CatalogSet catalog;
    std::unique_ptr<MissionRecord> record;
};

TEST_F(MissionRecordTest, AnExchangeIsOpenBetweenIntentAndOutcome) {
    ASSERT_TRUE(record->intent(intent(1)));
    EXPECT_EQ(record->open_exchanges(), 1U);

    ASSERT_TRUE(record->outcome(outcome(1)));

    EXPECT_EQ(record->open_exchanges(), 0U);
    EXPECT_EQ(record->counts().allowed, 1U);
    EXPECT_EQ(log.records.size(), 2U);
}

TEST_F(MissionRecordTest, ACredentialThatAServerDidNotTakeIsCountedForItsAccount) {
    wire::ExchangeOutcome rejected = outcome(1);
    rejected.evidence["upstream_rejected_credential"] = "401";
    ASSERT_TRUE(record->intent(intent(1)));
    ASSERT_TRUE(record->intent(intent(2)));

    ASSERT_TRUE(record->outcome(rejected));
    ASSERT_TRUE(record->outcome(outcome(2)));

    EXPECT_THAT(record->counts().rejected_by_account, testing::ElementsAre(testing::Pair("alice", 1)));
}

TEST_F(MissionRecordTest, AnOutcomeWithoutAnIntentIsAnErrorAndIsNotRecorded) {
    const Status status = record->outcome(outcome(7));

    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::Protocol);
    EXPECT_THAT(log.records, IsEmpty());
}

TEST_F(MissionRecordTest, ASecondOutcomeIsAnError) {
    ASSERT_TRUE(record->intent(intent(1)));
    ASSERT_TRUE(record->outcome(outcome(1)));

    EXPECT_FALSE(record->outcome(outcome(1)));
}

TEST_F(MissionRecordTest, AnExchangeNumberIsNeverUsedTwice) {
    ASSERT_TRUE(record->intent(intent(1)));
    EXPECT_FALSE(record->intent(intent(1)));
    ASSERT_TRUE(record->outcome(outcome(1)));

    EXPECT_FALSE(record->intent(intent(1)));
    EXPECT_FALSE(record->refused(refusal(1, "host_unknown")));
}

TEST_F(MissionRecordTest, ARefusalThatClosesAnIntentIsNoAllowedExchange) {
    ASSERT_TRUE(record->intent(intent(1)));
    ASSERT_TRUE(record->refused(refusal(1, "upstream_unreachable")));

    EXPECT_EQ(record->counts().allowed, 0U);
    EXPECT_EQ(record->counts().refused, 1U);
    EXPECT_EQ(record->open_exchanges(), 0U);
}

TEST_F(MissionRecordTest, RefusalsAreCountedByReason) {
    ASSERT_TRUE(record->refused(refusal(1, "host_unknown")));
    ASSERT_TRUE(record->refused(refusal(2, "host_unknown")));
    ASSERT_TRUE(record->refused(refusal(3, "scope_missing")));

    EXPECT_EQ(record->counts().refused_by_reason.at("host_unknown"), 2U);
    EXPECT_EQ(record->counts().refused_by_reason.at("scope_missing"), 1U);
}

TEST_F(MissionRecordTest, ADurableIntentIsAnsweredUnderItsExchange) {
    ASSERT_TRUE(record->intent(intent(9, true)));

    const std::vector<ledger::Durable> answers = record->poll_durable();

    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].token, 9U);
    EXPECT_TRUE(answers[0].ok);
}

TEST_F(MissionRecordTest, AFailedLedgerEndsTheMissionAtTheNextRecord) {
    log.has_failed = true;

    const Status status = record->intent(intent(1));

    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::Io);
    EXPECT_THAT(status.error().what, HasSubstr("record"));
}

TEST_F(MissionRecordTest, ScopesThatWereNotNeededAreNamed) {
    EXPECT_THAT(record->unused_scopes(), ElementsAre("git:fetch", "git:push"));

    ASSERT_TRUE(record->intent(intent(1)));

    EXPECT_THAT(record->unused_scopes(), ElementsAre("git:fetch"));
}

TEST_F(MissionRecordTest, TheFirstRecordNamesWhatWasGranted) {
    ASSERT_TRUE(record->started({}));

    const auto* started = std::get_if<ledger::MissionStarted>(&log.records.at(0));
    ASSERT_NE(started, nullptr);
    EXPECT_THAT(started->granted.at("git"), ElementsAre("fetch", "push"));
}

TEST_F(MissionRecordTest, SealingEndsWhatIsStillOpen) {
    ASSERT_TRUE(record->intent(intent(1)));
    ASSERT_TRUE(record->intent(intent(2)));
    ASSERT_TRUE(record->outcome(outcome(1)));

    ASSERT_TRUE(record->seal({}));

    const auto* last = std::get_if<wire::ExchangeOutcome>(&log.records.back());
    ASSERT_NE(last, nullptr);
    EXPECT_EQ(last->exchange, 2U);
    EXPECT_EQ(last->outcome, "mission_ended");
    EXPECT_EQ(log.records.size(), 4U);
    EXPECT_TRUE(log.ended);
}

TEST_F(MissionRecordTest, SealingParksALeaseWhoseEndNobodyTold) {
    wire::LeaseChanged lease;
    lease.state = "held";
    for (const char* name : {"l1", "l2"}) {
        lease.lease = name;
        ASSERT_TRUE(record->lease(lease));
    }
    lease.state = "gone";
    ASSERT_TRUE(record->lease(lease));

    ASSERT_TRUE(record->seal({}));

    ASSERT_EQ(log.records.size(), 4U) << "l2 has its end";
    const auto* last = std::get_if<wire::LeaseChanged>(&log.records.back());
    ASSERT_NE(last, nullptr);
    EXPECT_EQ(last->lease, "l1");
    EXPECT_EQ(last->state, "parked");
    EXPECT_EQ(last->expires_unix_ms, 0) << "the lease had an end, not the credential";
    EXPECT_THAT(last->detail, HasSubstr("sanctum leases"));
}

TEST_F(MissionRecordTest, ARecordThatIsLeftToTheReaperIsNotSealed) {
    record->leave_to_reaper(Error{Errc::Cancelled, "standby: it is gone"});

    const Result<ledger::Sealed> sealed = record->seal({});

    ASSERT_FALSE(sealed);
    EXPECT_THAT(sealed.error().what, HasSubstr("standby: it is gone"));
    EXPECT_FALSE(log.ended);
}

TEST_F(MissionRecordTest, TheLastStateOfALeaseIsKept) {
    wire::LeaseChanged lease;
    lease.lease = "l1";
    lease.state = "held";
    ASSERT_TRUE(record->lease(lease));
    lease.state = "gone";
    ASSERT_TRUE(record->lease(lease));

    EXPECT_EQ(record->last_leases().at("l1").state, "gone");
    EXPECT_EQ(log.records.size(), 2U);
}

TEST(ScopesUsed, TakesTheSmallestSetThatIsGranted) {
    profiles::Service service;
    service.grant = {"a", "b", "c"};
    service.implied = service.grant;

    EXPECT_THAT(scopes_used(service, nullptr, {{"a", "b"}, {"x"}, {"c"}}), ElementsAre("c"));
    EXPECT_THAT(scopes_used(service, nullptr, {{"x"}}), IsEmpty());
    EXPECT_THAT(scopes_used(service, nullptr, {{}}), IsEmpty());
}

}  // namespace
}  // namespace sanctum::launcher
