// SPDX-License-Identifier: Apache-2.0
#include "base/digest.hpp"
#include "base/limits.hpp"
#include "tests/unit/vault/support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sqlite3.h>

namespace sanctum::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using test::make_need;

constexpr Milliseconds kBusyWait{10};
constexpr std::int64_t kTtlMs = 30 * 60 * 1000;

class LeasesTest : public ::testing::Test {
protected:
    void SetUp() override { begin(); }

    void begin() {
        EXPECT_TRUE(journal_.add_mission({mission_.id, clock_.wall().unix_ms, clock_.wall().unix_ms + kTtlMs, false}));
        std::map<std::string, AccountSource> accounts;
        accounts["team"] = {"scripted", "agent", std::make_unique<test::ScriptedSource>(script_)};
        leases_ = std::make_unique<Leases>(
            mission_, MissionEnd{clock_.boot().plus(Milliseconds(kTtlMs)), {clock_.wall().unix_ms + kTtlMs}},
            std::move(accounts), journal_, reaper_.seal(), clock_, heard_);
    }
    void approve(const std::string& approval, std::vector<std::string> scopes = {"push"}) {
        ASSERT_TRUE(leases_->approve({approval, {}, "git", std::move(scopes), clock_.wall().unix_ms + 60'000}));
    }
    wire::LeaseNeed elevated_need(std::uint64_t exchange, const std::string& approval) {
        wire::LeaseNeed need = make_need(exchange);
        need.scopes = {"push"};
        need.risk = "high";
        need.approval = approval;
        return need;
    }
    std::vector<LeaseRow> rows() { return journal_.leases_of(mission_.id).value(); }
    LeaseRow row_of(const std::string& lease) {
        for (const LeaseRow& row : rows()) {
            if (row.lease == lease) return row;
        }
        ADD_FAILURE() << "no lease " << lease;
        return {};
    }
    void pass(Milliseconds time) {
        clock_.advance(time);
        leases_->tick();
    }

    test::TemporaryFolder folder_;
    Journal journal_ = Journal::open(folder_.path(), kBusyWait).value();
    ReaperKey reaper_ = ReaperKey::open(folder_.path()).value();
    ManualClock clock_;
    profiles::Mission mission_ = test::make_mission();
    test::Script script_;
    test::Heard heard_;
    std::unique_ptr<Leases> leases_;
};

// --- what a reaper could do ---------------------------------------------------------------------------------------

TEST_F(LeasesTest, WhatGivesACredentialBackIsInTheJournalSealedBeforeItIsHandedOutAndGoesWithIt) {
    script_.has_retirement = true;
    leases_->need(make_need(1));
    EXPECT_EQ(rows().at(0).retirement, "");

    script_.answer("token-1", {}, RetireClass::Self);

    const std::string sealed = rows().at(0).retirement;
    const Result<Retirement> opened = reaper_.unseal(sealed);
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->request.authorization.reveal(), "token-1");
    leases_->end_mission();
    EXPECT_EQ(rows().at(0).state, LeaseState::Gone);
    EXPECT_EQ(rows().at(0).retirement, "");
}

TEST_F(LeasesTest, WhatTheProviderDidNotTakeBackStaysForTheReaper) {
    script_.has_retirement = true;
    script_.outcome = {RetireOutcome::End::NotYet, "the provider is down"};
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + 3'600'000}, RetireClass::Self);

    leases_->end_mission();

    EXPECT_EQ(rows().at(0).state, LeaseState::Parked);
    EXPECT_NE(rows().at(0).retirement, "");
}

// --- a mission's own token -----------------------------------------------------------------------------------------

TEST_F(LeasesTest, AMissionsOwnTokenIsMadeOnceAndIsDurableAndSealedBeforeItIsUsed) {
    script_.lacks_token = true;
    script_.has_retirement = true;
    leases_->need(make_need(1));
    wire::LeaseNeed other = make_need(2);
    other.risk = "medium";
    leases_->need(other);

    EXPECT_TRUE(script_.asked.empty()) << "not before there is a token";
    ASSERT_EQ(script_.tokens_asked.size(), 1U) << "one for both";
    ASSERT_EQ(rows().size(), 3U);
    EXPECT_EQ(row_of("l2").state, LeaseState::Wanted);
    EXPECT_TRUE(row_of("l2").mints) << "a vault that dies now leaves an orphan";
    EXPECT_THAT(row_of("l2").asked, ElementsAre("offline_access"));

    script_.answer_token("mission-token");

    EXPECT_EQ(script_.asked.size(), 2U);
    EXPECT_EQ(row_of("l2").state, LeaseState::Held);
    EXPECT_EQ(reaper_.unseal(row_of("l2").retirement)->request.authorization.reveal(), "mission-token");
    EXPECT_TRUE(heard_.held_messages.empty()) << "nobody is given it";
    script_.answer("token-1");
    script_.answer("token-2");
    ASSERT_EQ(heard_.held_messages.size(), 2U);
    leases_->need(make_need(3));
    EXPECT_EQ(heard_.held_messages.size(), 3U) << "and the mission has it from then on";

    leases_->end_mission();
    EXPECT_THAT(script_.retired, ::testing::UnorderedElementsAre("mission-token", "token-1", "token-2"));
    EXPECT_EQ(row_of("l2").state, LeaseState::Gone);
}

TEST_F(LeasesTest, WithoutItsTokenAMissionGetsNothingAndALostOneIsCountedOnce) {
    script_.lacks_token = true;
    leases_->need(make_need(1));
    script_.fail_token(SourceFailure{SourceFault::NoAnswer, "the answer was lost", Milliseconds(0)});

    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures.at(0).reason, "no_answer");
    EXPECT_EQ(row_of("l1").state, LeaseState::Failed);
    EXPECT_EQ(row_of("l2").state, LeaseState::Orphaned);
    for (std::uint64_t exchange = 2; exchange < 50; ++exchange) leases_->need(make_need(exchange));
    wire::LeaseNeed other = make_need(60);
    other.risk = "medium";
    leases_->need(other);
    EXPECT_TRUE(script_.tokens_asked.empty()) << "an agent in a loop leaves no second one behind";

    pass(Milliseconds(kOrphanRest) + Milliseconds(1));
    leases_->need(make_need(50));
    EXPECT_EQ(script_.tokens_asked.size(), 1U);
}

TEST_F(LeasesTest, AMissionThatLostItsTokenTooOftenAsksForNoFurtherOne) {
    script_.lacks_token = true;
    const auto lose = [&](std::uint64_t exchange, SourceFault fault) {
        leases_->need(make_need(exchange));
        EXPECT_EQ(script_.tokens_asked.size(), 1U) << exchange;
        script_.fail_token(SourceFailure{fault, "lost", Milliseconds(0)});
        pass(Milliseconds(kConsentRest) + Milliseconds(1));
    };
    lose(1, SourceFault::Unavailable);  // nothing was made: it does not count
    for (std::uint64_t exchange = 2; exchange < 2 + kMissionTokensLostMax; ++exchange) {
        lose(exchange, SourceFault::NoAnswer);
    }

    for (std::uint64_t exchange = 10; exchange < 13; ++exchange) {
        leases_->need(make_need(exchange));
        pass(Milliseconds(kMisconfiguredRest) + Milliseconds(1));
    }

    EXPECT_TRUE(script_.tokens_asked.empty());
    EXPECT_EQ(heard_.failures.back().reason, "misconfigured");
    EXPECT_NE(heard_.failures.back().detail.find("revoke them at the tenant"), std::string::npos);
    const std::vector<LeaseRow> all = rows();
    EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const LeaseRow& row) {
                  return row.state == LeaseState::Orphaned;
              }), static_cast<std::ptrdiff_t>(kMissionTokensLostMax));
}

TEST_F(LeasesTest, AMissionsTokenThatComesAfterItsEndIsGivenBack) {
    script_.lacks_token = true;
    leases_->need(make_need(1));
    leases_->end_mission();
    EXPECT_FALSE(leases_->is_settled());

    script_.answer_token("late");

    EXPECT_THAT(script_.retired, ElementsAre("late"));
    EXPECT_TRUE(script_.asked.empty());
    EXPECT_TRUE(leases_->is_settled());
    EXPECT_EQ(row_of("l2").state, LeaseState::Gone);
}

TEST_F(LeasesTest, AMissionsTokenEndsWithTheLastServiceOfItsAccount) {
    script_.lacks_token = true;
    leases_->need(make_need(1));
    script_.answer_token("mission-token");
    script_.answer("token-1");

    ASSERT_TRUE(leases_->revoke_service("git"));
    EXPECT_THAT(script_.retired, ElementsAre("token-1"));

    ASSERT_TRUE(leases_->revoke_service("once"));
    EXPECT_THAT(script_.retired, ElementsAre("token-1", "mission-token"));
}

// --- what a source decides ----------------------------------------------------------------------------------------

TEST_F(LeasesTest, ACredentialThatItsSourceHasReplacedEndsAndIsFetchedAnew) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    leases_->tick();
    EXPECT_TRUE(heard_.gone_leases.empty());

    script_.stale = "token-1";
    leases_->need(make_need(2));
    EXPECT_EQ(heard_.held_messages.size(), 1U) << "not the old one";
    leases_->tick();
    script_.answer("token-2");

    EXPECT_THAT(heard_.gone_leases, ElementsAre("l1"));
    EXPECT_EQ(heard_.held_messages.at(1).second, "token-2");
    EXPECT_EQ(heard_.changes.at(1).lease, "l1");
    EXPECT_THAT(heard_.changes.at(1).detail, HasSubstr("its source has another one now"));
}

// --- what an upstream refuses -------------------------------------------------------------------------------------

wire::LeaseUsed refused(std::uint64_t exchange, const std::string& lease) { return {exchange, lease, 401}; }

wire::LeaseNeed need_instead_of(const std::string& lease, std::uint64_t exchange) {
    wire::LeaseNeed need = make_need(exchange);
    need.instead_of = lease;
    return need;
}

TEST_F(LeasesTest, ACredentialThatItsUpstreamRefusesEndsAndOneOtherIsFetchedForAllWhoHadIt) {
    for (std::uint64_t exchange = 1; exchange <= 5; ++exchange) leases_->need(make_need(exchange));
    script_.answer("token-1", {}, RetireClass::Self);

    for (std::uint64_t exchange = 1; exchange <= 5; ++exchange) {
        ASSERT_TRUE(leases_->used(refused(exchange, "l1")));
        leases_->need(need_instead_of("l1", exchange + 10));
    }
    leases_->need(make_need(20));

    EXPECT_THAT(heard_.gone_leases, ElementsAre("l1"));
    EXPECT_THAT(script_.retired, ElementsAre("token-1"));
    EXPECT_THAT(heard_.changes.back().detail, HasSubstr("the upstream refused it with status 401"));
    ASSERT_EQ(script_.asked.size(), 1U) << "one flight";
    script_.answer("token-2", {}, RetireClass::Self);
    ASSERT_EQ(heard_.held_messages.size(), 11U);
    EXPECT_EQ(heard_.held_messages.back().second, "token-2");
    EXPECT_TRUE(heard_.failures.empty());
    pass(kLeaseUseJournalInterval);
    for (const LeaseRow& row : rows()) EXPECT_EQ(row.uses, row.lease == "l1" ? 5U : 0U);
}

// SECURITY: an upstream that refuses everything cannot make the source mint without end.
TEST_F(LeasesTest, ACredentialIsReplacedOncePerNeedAndTimeAndTheOneThatIsRefusedAgainStays) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    ASSERT_TRUE(leases_->used(refused(1, "l1")));
    leases_->need(need_instead_of("l1", 2));
    script_.answer("token-2");

    for (int i = 0; i < 100; ++i) ASSERT_TRUE(leases_->used(refused(2, "l2")));
    leases_->need(need_instead_of("l2", 3));
    leases_->need(make_need(4));

    EXPECT_TRUE(script_.asked.empty());
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].exchange, 3U);
    EXPECT_EQ(heard_.failures[0].reason, "credential_refused");
    EXPECT_EQ(heard_.held_messages.back().first.lease, "l2") << "who has tried nothing yet gets what there is";

    pass(kRefusedRest);
    ASSERT_TRUE(leases_->used(refused(2, "l2")));
    leases_->need(need_instead_of("l2", 5));
    EXPECT_EQ(script_.asked.size(), 1U) << "later it is tried again";
    EXPECT_THAT(heard_.changes.back().detail, HasSubstr("(100 times)"));
}

TEST_F(LeasesTest, ASourceThatGivesTheRefusedCredentialAgainHasNoOther) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    ASSERT_TRUE(leases_->used(refused(1, "l1")));
    leases_->need(need_instead_of("l1", 2));
    leases_->need(make_need(3));

    script_.answer("token-1");
    leases_->need(need_instead_of("l1", 4));

    ASSERT_EQ(heard_.failures.size(), 2U);
    EXPECT_EQ(heard_.failures[0].exchange, 2U);
    EXPECT_EQ(heard_.failures[1].exchange, 4U);
    EXPECT_EQ(heard_.failures[1].detail, "its source gave the same credential again");
    EXPECT_EQ(heard_.held_messages.back().first.exchange, 3U);
}

TEST_F(LeasesTest, AnotherStatusThanARefusalEndsNoLease) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    for (const int status : {200, 400, 403, 404, 407, 500}) {
        ASSERT_TRUE(leases_->used({1, "l1", static_cast<std::uint16_t>(status)}));
    }
    EXPECT_TRUE(heard_.gone_leases.empty());
}

TEST_F(LeasesTest, WhatASourceKeepsBesideItsLeasesIsWaitedForAtTheEndWithinABound) {
    script_.holds_end = true;
    leases_->end_mission();
    EXPECT_FALSE(leases_->is_settled());
    script_.ending.at(0)();
    EXPECT_TRUE(leases_->is_settled());

    leases_.reset();
    script_.ending.clear();
    mission_.id = "01k9mission000000000000001";
    begin();
    leases_->end_mission();
    pass(Milliseconds(kAcquireAtEndTimeout));
    EXPECT_TRUE(leases_->is_settled());
    script_.ending.at(0)();
    EXPECT_TRUE(leases_->is_settled()) << "a late answer changes nothing";
}

TEST_F(LeasesTest, ASourceIsToldWhatServiceAndAccountAreBoundTo) {
    mission_.services[0].resources = {{"repo", {"team/*"}}};
    mission_.services[0].account_resources = {{"repo", {"**"}}};
    leases_->need(make_need(1));
    EXPECT_EQ(script_.need.service_bounds, mission_.services[0].resources);
    EXPECT_EQ(script_.need.account_bounds, mission_.services[0].account_resources);
}

TEST_F(LeasesTest, AFailureThatPeopleMustMendIsNotAskedForAgainForAWhile) {
    leases_->need(make_need(1));
    script_.fail(SourceFailure{SourceFault::ConsentRequired, "connect the account", Milliseconds(0)});
    leases_->need(make_need(2));

    ASSERT_EQ(heard_.failures.size(), 2U);
    EXPECT_EQ(heard_.failures[1].reason, "consent_required");
    EXPECT_EQ(script_.correlations.size(), 1U);
    pass(Milliseconds(kConsentRest));
    leases_->need(make_need(3));
    EXPECT_EQ(script_.correlations.size(), 2U) << "it may have been mended";
}

TEST_F(LeasesTest, AFailureThatMayPassByItselfIsAskedForAgainAtOnceUnlessTheProviderSaysWhen) {
    leases_->need(make_need(1));
    script_.fail(SourceFailure{SourceFault::Unavailable, "down", Milliseconds(0)});
    leases_->need(make_need(2));
    script_.fail(SourceFailure{SourceFault::RateLimited, "later", Milliseconds(5'000)});
    leases_->need(make_need(3));

    EXPECT_EQ(script_.correlations.size(), 2U);
    EXPECT_EQ(heard_.failures.back().retry_after_ms, 5'000);
    pass(Milliseconds(5'000));
    leases_->need(make_need(4));
    EXPECT_EQ(script_.correlations.size(), 3U);
}

// --- from need to held --------------------------------------------------------------------------------------------

TEST_F(LeasesTest, ANeedInsideTheMissionIsAnsweredWithTheCredential) {
    leases_->need(make_need(7));
    script_.answer("token-1");

    ASSERT_EQ(heard_.held_messages.size(), 1U);
    const wire::LeaseHeld& held = heard_.held_messages[0].first;
    EXPECT_EQ(heard_.held_messages[0].second, "token-1");
    EXPECT_EQ(held.exchange, 7U);
    EXPECT_EQ(held.lease, "l1");
    EXPECT_EQ(held.form, "basic");
    EXPECT_EQ(held.username, "agent") << "the account's user name goes before the catalog's";
    EXPECT_EQ(held.uses, 0U);
}

TEST_F(LeasesTest, TheRecordOfALeaseSaysWhatWasAskedAndHoldsAThumbprintAndNoSecret) {
    leases_->need(make_need(1));
    script_.answer("token-1");

    ASSERT_EQ(heard_.changes.size(), 1U);
    const wire::LeaseChanged& record = heard_.changes[0];
    EXPECT_EQ(record.state, "held");
    EXPECT_THAT(record.asked, ElementsAre("fetch"));
    EXPECT_EQ(record.received, std::nullopt);
    EXPECT_EQ(record.narrowed_by, "proxy");
    EXPECT_EQ(record.thumbprint, wire::to_hex(sha256("token-1")));
    EXPECT_EQ(wire::to_json(record).find("token-1"), std::string::npos);
}

TEST_F(LeasesTest, TheIntentIsInTheJournalBeforeTheSourceIsAsked) {
    leases_->need(make_need(1));

    ASSERT_EQ(script_.asked.size(), 1U);
    ASSERT_EQ(rows().size(), 1U);
    EXPECT_EQ(rows()[0].state, LeaseState::Wanted);
    EXPECT_EQ(rows()[0].correlation, script_.correlations.at(0));
}

TEST_F(LeasesTest, TheHandleIsInTheJournalWhenTheCredentialIsHandedOut) {
    leases_->need(make_need(1));
    script_.answer("token-1");

    ASSERT_EQ(heard_.held_messages.size(), 1U);
    EXPECT_EQ(rows()[0].state, LeaseState::Held);
    EXPECT_EQ(rows()[0].handle, "handle-of-1");
}

TEST_F(LeasesTest, ASourceIsNotAskedWhenTheIntentCannotBeWritten) {
    sqlite3* other = nullptr;
    ASSERT_EQ(::sqlite3_open((folder_ / "state.db").c_str(), &other), SQLITE_OK);
    ASSERT_EQ(::sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);

    leases_->need(make_need(1));

    EXPECT_TRUE(script_.correlations.empty());
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].reason, "source_failed");
    ::sqlite3_close(other);
}

TEST_F(LeasesTest, ACredentialIsNotHandedOutWhenItsHandleCannotBeWritten) {
    leases_->need(make_need(1));
    sqlite3* other = nullptr;
    ASSERT_EQ(::sqlite3_open((folder_ / "state.db").c_str(), &other), SQLITE_OK);
    ASSERT_EQ(::sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);

    script_.answer("token-1");

    EXPECT_TRUE(heard_.held_messages.empty());
    EXPECT_THAT(script_.retired, ElementsAre("token-1"));
    ASSERT_EQ(heard_.failures.size(), 1U);
    ::sqlite3_close(other);
}

// --- sharing ------------------------------------------------------------------------------------------------------

TEST_F(LeasesTest, EqualNeedsShareOneLeaseAndOneFetch) {
    leases_->need(make_need(1));
    leases_->need(make_need(2));
    script_.answer("token-1");
    leases_->need(make_need(3));

    EXPECT_EQ(script_.correlations.size(), 1U);
    ASSERT_EQ(heard_.held_messages.size(), 3U);
    for (const auto& [held, secret] : heard_.held_messages) EXPECT_EQ(held.lease, "l1");
}

TEST_F(LeasesTest, NeedsOfOtherScopesOrRiskDoNotShare) {
    leases_->need(make_need(1));
    wire::LeaseNeed push = make_need(2);
    push.scopes = {"push"};
    leases_->need(push);
    wire::LeaseNeed riskier = make_need(3);
    riskier.risk = "medium";
    leases_->need(riskier);

    EXPECT_EQ(script_.correlations.size(), 3U);
}

TEST_F(LeasesTest, ResourcesSeparateLeasesOnlyWhereTheSourceNarrowsToThem) {
    wire::LeaseNeed other = make_need(2);
    other.resources = {{"repo", {"team/other.git"}}};
    leases_->need(make_need(1));
    leases_->need(other);
    EXPECT_EQ(script_.correlations.size(), 1U);

    script_.capabilities.narrows_resources = true;
    leases_->need(make_need(3));
    leases_->need(other);
    EXPECT_EQ(script_.correlations.size(), 3U);
}

TEST_F(LeasesTest, AServiceWithoutReuseGetsACredentialPerRequestThatGoesBackAfterIt) {
    wire::LeaseNeed need = make_need(1);
    need.service = "once";
    leases_->need(need);
    script_.answer("token-1");
    need.exchange = 2;
    leases_->need(need);
    script_.answer("token-2");

    ASSERT_EQ(heard_.held_messages.size(), 2U);
    EXPECT_EQ(heard_.held_messages[0].first.uses, 1U);
    EXPECT_NE(heard_.held_messages[0].first.lease, heard_.held_messages[1].first.lease);
    ASSERT_TRUE(leases_->used({1, "l1", 200}));
    EXPECT_THAT(script_.retired, ElementsAre("token-1"));
    EXPECT_THAT(heard_.gone_leases, ElementsAre("l1"));
}

TEST_F(LeasesTest, ASharedLeaseSurvivesItsUses) {
    leases_->need(make_need(1));
    script_.answer("token-1");

    ASSERT_TRUE(leases_->used({1, "l1", 200}));

    EXPECT_TRUE(script_.retired.empty());
    leases_->need(make_need(2));
    EXPECT_EQ(heard_.held_messages.size(), 2U);
}

// --- outside the mission ------------------------------------------------------------------------------------------

TEST_F(LeasesTest, NothingOutsideTheMissionIsEverFetched) {
    wire::LeaseNeed unknown_service = make_need(1);
    unknown_service.service = "other";
    wire::LeaseNeed unknown_scope = make_need(2);
    unknown_scope.scopes = {"fetch", "push:force"};
    wire::LeaseNeed other_repo = make_need(3);
    other_repo.resources = {{"repo", {"rivals/app.git"}}};
    wire::LeaseNeed one_bad_ref = make_need(4);
    one_bad_ref.resources = {{"repo", {"team/app.git"}}, {"ref", {"refs/heads/agent/x", "refs/heads/main"}}};
    wire::LeaseNeed no_such_risk = make_need(5);
    no_such_risk.risk = "none";

    for (const auto& need : {unknown_service, unknown_scope, other_repo, one_bad_ref, no_such_risk}) {
        leases_->need(need);
    }

    EXPECT_TRUE(script_.correlations.empty());
    ASSERT_EQ(heard_.failures.size(), 5U);
    for (const wire::LeaseFailed& failure : heard_.failures) EXPECT_EQ(failure.reason, "outside_mission");
    EXPECT_TRUE(rows().empty());
}

TEST_F(LeasesTest, WhatTheMissionCoversIsFetched) {
    wire::LeaseNeed need = make_need(1);
    need.scopes = {"push", "fetch"};
    need.resources = {{"repo", {"team/app.git", "team/other.git"}}, {"ref", {"refs/heads/agent/x"}}};

    leases_->need(need);

    EXPECT_EQ(script_.correlations.size(), 1U);
    EXPECT_TRUE(heard_.failures.empty());
}

TEST_F(LeasesTest, AServiceWithoutAnAccountHasNoCredential) {
    wire::LeaseNeed need = make_need(1);
    need.service = "bare";

    leases_->need(need);

    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].reason, "not_found");
}

// --- approvals ----------------------------------------------------------------------------------------------------

TEST_F(LeasesTest, AnElevatedNeedWithItsApprovalGetsACredentialForOneRequest) {
    approve("a1");
    leases_->need(elevated_need(1, "a1"));
    script_.answer("token-1");

    ASSERT_EQ(heard_.held_messages.size(), 1U);
    EXPECT_EQ(heard_.held_messages[0].first.uses, 1U);
}

TEST_F(LeasesTest, AnElevatedNeedWithoutAnApprovalIsRefused) {
    leases_->need(elevated_need(1, ""));
    leases_->need(elevated_need(2, "a1"));

    EXPECT_TRUE(script_.correlations.empty());
    EXPECT_EQ(heard_.failures.size(), 2U);
}

TEST_F(LeasesTest, AnApprovalIsUsedOnce) {
    approve("a1");
    leases_->need(elevated_need(1, "a1"));
    leases_->need(elevated_need(2, "a1"));

    EXPECT_EQ(script_.correlations.size(), 1U);
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_THAT(heard_.failures[0].detail, HasSubstr("used before"));
    EXPECT_FALSE(leases_->approve({"a1", {}, "git", {"push"}, clock_.wall().unix_ms + 60'000}))
        << "telling it again must not make it new";
}

TEST_F(LeasesTest, AnApprovalForSomethingElseIsNoApproval) {
    approve("a1", {"fetch"});
    leases_->need(elevated_need(1, "a1"));

    EXPECT_TRUE(script_.correlations.empty());
    ASSERT_EQ(heard_.failures.size(), 1U);
}

TEST_F(LeasesTest, AnApprovalWhoseTimeHasPassedIsNoApproval) {
    approve("a1");
    clock_.advance(Milliseconds(60'000));

    leases_->need(elevated_need(1, "a1"));

    EXPECT_TRUE(script_.correlations.empty());
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_THAT(heard_.failures[0].detail, HasSubstr("time has passed"));
}

TEST_F(LeasesTest, WhereTheMissionAllowsHighRiskNoApprovalIsNeededButTheCredentialIsStillForOneRequest) {
    mission_.approval.high = profiles::Verdict::Allow;

    leases_->need(elevated_need(1, ""));
    script_.answer("token-1");

    ASSERT_EQ(heard_.held_messages.size(), 1U);
    EXPECT_EQ(heard_.held_messages[0].first.uses, 1U);
}

// --- bad credentials and failing sources --------------------------------------------------------------------------

TEST_F(LeasesTest, ACredentialWithALineBreakIsNeverUsed) {
    leases_->need(make_need(1));
    script_.answer("a\r\nX-Evil: y");

    EXPECT_TRUE(heard_.held_messages.empty());
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].reason, "illegal_bytes");
    EXPECT_EQ(heard_.failures[0].detail.find("Evil"), std::string::npos);
    EXPECT_EQ(script_.retired.size(), 1U);
    EXPECT_EQ(rows()[0].state, LeaseState::Gone);
}

TEST(CredentialFault, ControlCharactersAndWrongLengthsAreFaultsAndOrdinaryBytesAreNot) {
    EXPECT_EQ(credential_fault("ghp_ABC-123.~+/="), "");
    EXPECT_EQ(credential_fault("p\xc3\xa4ss word"), "");
    EXPECT_EQ(credential_fault(std::string(kCredentialBytesMax, 'a')), "");
    EXPECT_NE(credential_fault(std::string(kCredentialBytesMax + 1, 'a')), "");
    EXPECT_NE(credential_fault(""), "");
    for (const char c : {'\r', '\n', '\t', '\x1b', '\x7f'}) EXPECT_NE(credential_fault(std::string("a") + c), "");
    EXPECT_NE(credential_fault(std::string_view("a\0b", 3)), "");
}

TEST_F(LeasesTest, AFailingSourceFailsEveryWaitingRequestAndLeavesNoLease) {
    leases_->need(make_need(1));
    leases_->need(make_need(2));
    script_.fail(Error{Errc::Io, "/bin/pass ended with exit status 1"});

    ASSERT_EQ(heard_.failures.size(), 2U);
    EXPECT_EQ(heard_.failures[0].reason, "source_failed");
    EXPECT_EQ(rows()[0].state, LeaseState::Failed);
    EXPECT_TRUE(heard_.changes.empty());
    leases_->need(make_need(3));
    EXPECT_EQ(script_.correlations.size(), 2U) << "the next request tries again";
}

TEST_F(LeasesTest, AMintWhoseAnswerIsLostIsAnOrphanUntilItMustBeDead) {
    script_.capabilities.mints = true;
    script_.capabilities.life_max = Milliseconds(120'000);
    leases_->need(make_need(1));
    script_.fail(Error{Errc::Timeout, "no answer"});

    ASSERT_EQ(heard_.changes.size(), 1U);
    EXPECT_EQ(heard_.changes[0].state, "orphaned");
    EXPECT_EQ(rows()[0].alive_until_unix_ms, clock_.wall().unix_ms + 60'000 + 120'000)
        << "its life begins when the provider makes it, which may be later than we asked";
    EXPECT_EQ(leases_->counts().orphaned, 1U);
}

TEST_F(LeasesTest, AMintOfASourceThatCannotSayHowLongItLivesHasNoKnownEnd) {
    script_.capabilities.mints = true;
    leases_->need(make_need(1));
    script_.fail(Error{Errc::Timeout, "no answer"});
    leases_->need(make_need(2));
    pass(Milliseconds(kOrphanRest) + Milliseconds(1));
    leases_->need(make_need(3));
    script_.answer("token-1", {}, RetireClass::Expires);
    script_.outcome = {RetireOutcome::End::LeftToExpire, "it ends at its own time"};
    leases_->end_mission();

    ASSERT_EQ(rows().size(), 2U);
    for (const LeaseRow& row : rows()) {
        EXPECT_EQ(row.alive_until_unix_ms, 0) << row.lease;
        EXPECT_EQ(row.expires_unix_ms, 0) << "its lease's end is not its own";
    }
    EXPECT_EQ(rows()[0].state, LeaseState::Orphaned);
    EXPECT_EQ(rows()[1].state, LeaseState::Parked);
}

TEST_F(LeasesTest, AMintWhoseAnswerIsOfNoUseIsAnOrphanAndItsReasonStays) {
    script_.capabilities.mints = true;
    leases_->need(make_need(1));
    script_.fail(that_may_be_out({SourceFault::ScopeTooWide, "more than asked", Milliseconds(0)}));
    EXPECT_EQ(heard_.failures.at(0).reason, "scope_too_wide");
    EXPECT_EQ(rows()[0].state, LeaseState::Orphaned);

    script_.capabilities.mints = false;
    leases_->need(make_need(2));
    EXPECT_EQ(heard_.failures.size(), 2U) << "it is not asked for again at once";
}

TEST_F(LeasesTest, ASourceThatMintsIsNotAskedAgainAtOnceAfterALostAnswer) {
    for (const bool mints : {true, false}) {
        script_.capabilities.mints = mints;
        const std::size_t before = script_.correlations.size();
        leases_->need(make_need(1));
        script_.fail(Error{Errc::Timeout, "no answer"});
        leases_->need(make_need(2));
        EXPECT_EQ(script_.correlations.size(), before + (mints ? 1U : 2U));
        if (!mints) continue;
        EXPECT_EQ(heard_.failures.back().reason, "no_answer");
        pass(Milliseconds(5'000));
        leases_->need(make_need(3));
        EXPECT_EQ(script_.correlations.size(), before + 2) << "but after a while it is";
        script_.fail(Error{Errc::Io, "down"});
    }
}

TEST_F(LeasesTest, WhatCouldNotBeMadeNarrowerIsOutAndCounted) {
    script_.capabilities.mints = true;
    script_.cannot_narrow = true;
    leases_->need(make_need(1));
    script_.answer("wide", WallTime{clock_.wall().unix_ms + 60'000}, RetireClass::Expires);
    EXPECT_EQ(heard_.failures.at(0).reason, "unavailable");
    EXPECT_EQ(rows()[0].state, LeaseState::Orphaned);
}

// --- time ---------------------------------------------------------------------------------------------------------

TEST_F(LeasesTest, ALeaseEndsWithTheProvidersExpiryWhenThatIsFirst) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + 90'000}, RetireClass::Expires);
    EXPECT_EQ(heard_.held_messages.at(0).first.expires_boot_ms, clock_.boot().ms + 90'000);

    script_.outcome.end = RetireOutcome::End::LeftToExpire;
    pass(Milliseconds(90'000));

    EXPECT_THAT(heard_.gone_leases, ElementsAre("l1"));
    EXPECT_EQ(heard_.changes.back().state, "expired");
}

TEST_F(LeasesTest, AWallClockThatIsSetNeitherEndsALeaseNorLetsItLiveLonger) {
    constexpr std::int64_t kDay = 24 * 3'600'000;
    for (const std::int64_t step : {kDay, -kDay}) {
        leases_->need(make_need(1));
        script_.answer("secret", WallTime{clock_.wall().unix_ms + 60'000}, RetireClass::Expires);
        const std::string lease = heard_.held_messages.back().first.lease;
        clock_.set_wall({clock_.wall().unix_ms + step});
        leases_->tick();
        leases_->need(make_need(2));
        EXPECT_EQ(heard_.held_messages.back().first.lease, lease) << "it goes on";
        pass(Milliseconds(60'000));
        EXPECT_EQ(heard_.changes.back().state, "expired") << "by the boot-time clock";
    }
}

TEST_F(LeasesTest, ACredentialThatIsAliveIsNotCalledExpiredBecauseTheWallClockWasSet) {
    script_.outcome = {RetireOutcome::End::LeftToExpire, "it ends at its own time"};
    leases_->need(make_need(1));
    script_.answer("secret", WallTime{clock_.wall().unix_ms + 60'000}, RetireClass::Expires);
    clock_.set_wall({clock_.wall().unix_ms + 3'600'000});
    leases_->end_mission();
    EXPECT_EQ(heard_.changes.back().state, "parked");
}

TEST_F(LeasesTest, AnApprovalDoesNotLastLongerWhenTheWallClockIsSetBack) {
    approve("a1");
    clock_.advance(Milliseconds(60'000));
    clock_.set_wall({clock_.wall().unix_ms - 3'600'000});
    leases_->need(elevated_need(1, "a1"));
    EXPECT_EQ(heard_.failures.at(0).reason, "outside_mission");
    approve("a2");
    clock_.set_wall({clock_.wall().unix_ms + 3'600'000});
    leases_->need(elevated_need(2, "a2"));
    EXPECT_EQ(script_.correlations.size(), 1U);
}

TEST_F(LeasesTest, WhatWasMadeOnTheWayToACredentialIsAliveForItsLease) {
    script_.outcome = {RetireOutcome::End::LeftToExpire, "it ends at its own time"};
    script_.alive_until = WallTime{clock_.wall().unix_ms + 3'600'000};
    leases_->need(make_need(1));
    script_.answer("child", WallTime{clock_.wall().unix_ms + 60'000}, RetireClass::Expires);
    EXPECT_EQ(heard_.held_messages.at(0).first.expires_boot_ms, clock_.boot().ms + 60'000);

    pass(Milliseconds(60'000));

    EXPECT_EQ(heard_.changes.back().state, "parked") << "the wider one is not over yet";
    EXPECT_EQ(heard_.changes.back().expires_unix_ms, script_.alive_until->unix_ms);
}

TEST_F(LeasesTest, WhatIsSignedWithACredentialBearsItsProvidersTime) {
    script_.clock_offset = Milliseconds(90'000);
    leases_->need(make_need(1));
    script_.answer("token-1");

    EXPECT_EQ(heard_.held_messages.at(0).first.clock_offset_ms, 90'000);
}

TEST_F(LeasesTest, ALeaseEndsWithTheMissionWhenThatIsFirst) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + kTtlMs * 10});

    EXPECT_EQ(heard_.held_messages.at(0).first.expires_boot_ms, clock_.boot().ms + kTtlMs);
}

TEST_F(LeasesTest, ACredentialForOneRequestLivesShorterThanThePolicysBound) {
    wire::LeaseNeed need = make_need(1);
    need.service = "once";
    leases_->need(need);
    script_.answer("token-1");

    EXPECT_EQ(heard_.held_messages.at(0).first.expires_boot_ms,
              clock_.boot().plus(Milliseconds(kSingleUseLifeMax)).ms);
}

TEST_F(LeasesTest, ALeaseThatRunsOutIsNotHandedOutAgain) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + 60'000});
    clock_.advance(Milliseconds(59'000));

    leases_->need(make_need(2));

    EXPECT_EQ(script_.correlations.size(), 2U);
    EXPECT_EQ(heard_.held_messages.size(), 1U);
}

TEST_F(LeasesTest, ACredentialThatComesExpiredIsNotUsed) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms});

    EXPECT_TRUE(heard_.held_messages.empty());
    EXPECT_EQ(heard_.failures.at(0).reason, "expires_too_soon");
    EXPECT_EQ(rows()[0].state, LeaseState::Expired);
}

TEST_F(LeasesTest, ACredentialThatComesWithLessThanTheFloorLeftIsGivenBackUnusedWithTheRemedy) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + kLeaseFloor.count()}, RetireClass::Self);

    EXPECT_TRUE(heard_.held_messages.empty());
    EXPECT_EQ(heard_.failures.at(0).reason, "expires_too_soon");
    EXPECT_THAT(heard_.failures.at(0).detail, HasSubstr("account team"));
    EXPECT_THAT(heard_.failures.at(0).detail, HasSubstr("have its provider issue it for longer"));
    EXPECT_EQ(rows()[0].state, LeaseState::Gone);
    EXPECT_THAT(heard_.changes.back().detail, HasSubstr("2000 ms to live"));
}

TEST_F(LeasesTest, ACredentialThatComesWithMoreThanTheFloorLeftIsHandedOut) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + kLeaseFloor.count() + 1}, RetireClass::Self);

    EXPECT_EQ(heard_.held_messages.size(), 1U);
}

TEST_F(LeasesTest, ASourceWhoseCredentialsEndTooSoonIsAskedAgainOnlyWhenTheLastOneIsOver) {
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + 1'000}, RetireClass::Self);
    leases_->need(make_need(2));
    EXPECT_EQ(heard_.failures.at(1).reason, "expires_too_soon");
    EXPECT_EQ(script_.correlations.size(), 1U);

    pass(Milliseconds(kLeaseFloor));
    leases_->need(make_need(3));
    script_.answer("token-2", WallTime{clock_.wall().unix_ms + 60'000}, RetireClass::Self);

    EXPECT_EQ(heard_.held_messages.at(0).second, "token-2");
}

TEST_F(LeasesTest, NothingIsAskedForOrHandedOutInTheMissionsLastMoments) {
    leases_->need(make_need(1));
    leases_->need([] {
        wire::LeaseNeed other = make_need(2);
        other.service = "once";
        return other;
    }());
    script_.answer("token-1");
    pass(Milliseconds(kTtlMs) - Milliseconds(kLeaseFloor));
    script_.answer("token-2", {}, RetireClass::Self);
    leases_->need(make_need(3));

    EXPECT_EQ(heard_.held_messages.size(), 1U);
    EXPECT_EQ(script_.correlations.size(), 2U);
    ASSERT_EQ(heard_.failures.size(), 2U);
    for (const wire::LeaseFailed& failed : heard_.failures) EXPECT_EQ(failed.reason, "mission_ending");
}

TEST_F(LeasesTest, TheNextTickIsTheNearestEnd) {
    leases_->need(make_need(1));
    EXPECT_EQ(leases_->next_tick(), std::nullopt);
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + 5'000});
    // The use that handing out was is written first.
    EXPECT_EQ(leases_->next_tick(), clock_.boot().plus(Milliseconds(kLeaseUseJournalInterval)));
    pass(Milliseconds(kLeaseUseJournalInterval));

    EXPECT_EQ(leases_->next_tick(), clock_.boot().plus(Milliseconds(5'000) - Milliseconds(kLeaseUseJournalInterval)));
}

// --- uses ---------------------------------------------------------------------------------------------------------

TEST_F(LeasesTest, UsesAreCountedAndWrittenTogetherLater) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    const std::int64_t first = clock_.wall().unix_ms;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(leases_->used({1, "l1", 200}));
        clock_.advance(Milliseconds(100));
    }
    EXPECT_EQ(rows()[0].uses, 0U) << "not one disk write per request";

    pass(kLeaseUseJournalInterval);

    EXPECT_EQ(rows()[0].uses, 3U);
    EXPECT_EQ(rows()[0].handed_out, 1U);
    EXPECT_EQ(rows()[0].first_used_unix_ms, first);
    EXPECT_EQ(rows()[0].last_used_unix_ms, first + 200);
}

TEST_F(LeasesTest, TheEndOfALeaseCarriesItsUses) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    ASSERT_TRUE(leases_->used({1, "l1", 200}));

    leases_->end_mission();

    EXPECT_EQ(heard_.changes.back().state, "gone");
    EXPECT_EQ(heard_.changes.back().uses, 1U);
    EXPECT_EQ(rows()[0].uses, 1U);
}

TEST_F(LeasesTest, UsingALeaseThatWasNeverHandedOutIsABreachOfTheProtocol) {
    leases_->need(make_need(1));

    for (const char* name : {"l0", "l2", "l", "x1", "", "l18446744073709551616", "l1"}) {
        const Status used = leases_->used({1, name, 200});
        ASSERT_FALSE(used) << name;
        EXPECT_EQ(used.error().code, Errc::Protocol);
    }
    script_.answer("token-1");
    EXPECT_TRUE(leases_->used({1, "l1", 200}));
}

TEST_F(LeasesTest, AUseThatIsReportedAfterTheLeasesEndIsNoBreach) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    leases_->end_mission();

    EXPECT_TRUE(leases_->used({1, "l1", 200}));
}

// --- one service taken back -----------------------------------------------------------------------------------------

TEST_F(LeasesTest, AServiceThatIsTakenBackGivesBackWhatItHoldsAndGetsNothingMore) {
    leases_->need(make_need(1));
    script_.answer("token-1");

    ASSERT_TRUE(leases_->revoke_service("git"));

    EXPECT_THAT(script_.retired, ElementsAre("token-1"));
    EXPECT_THAT(heard_.gone_leases, ElementsAre("l1"));
    EXPECT_EQ(heard_.changes.back().state, "gone");
    EXPECT_NE(heard_.changes.back().detail.find("the operator took the service back"), std::string::npos);
    leases_->need(make_need(2));
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].reason, "service_revoked");
    EXPECT_EQ(script_.correlations.size(), 1U) << "the source is not asked";
    EXPECT_TRUE(leases_->revoke_service("git")) << "a second time changes nothing";
    leases_->end_mission();
    EXPECT_TRUE(leases_->is_settled());
}

TEST_F(LeasesTest, AnAnswerAfterItsServiceWasTakenBackIsRetiredAndNeverUsed) {
    leases_->need(make_need(1));
    ASSERT_TRUE(leases_->revoke_service("git"));
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].reason, "service_revoked");

    script_.answer("token-1");

    EXPECT_TRUE(heard_.held_messages.empty());
    EXPECT_THAT(script_.retired, ElementsAre("token-1"));
}

TEST_F(LeasesTest, OtherServicesGoOnWhenOneIsTakenBack) {
    profiles::Service other = mission_.services[0];
    other.name = "other";
    mission_.services.push_back(other);
    leases_->need(make_need(1));
    script_.answer("token-1");

    ASSERT_TRUE(leases_->revoke_service("other"));

    EXPECT_TRUE(script_.retired.empty());
    leases_->need(make_need(2));
    EXPECT_EQ(heard_.held_messages.size(), 2U);
    EXPECT_EQ(leases_->revoke_service("nobody").error().code, Errc::Protocol);
}

// --- the end ------------------------------------------------------------------------------------------------------

TEST_F(LeasesTest, TheMissionsEndRetiresEverythingHeld) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    wire::LeaseNeed push = make_need(2);
    push.scopes = {"push"};
    leases_->need(push);
    script_.answer("token-2");

    leases_->end_mission();

    EXPECT_TRUE(leases_->is_settled());
    EXPECT_THAT(script_.retired, ElementsAre("token-1", "token-2"));
    EXPECT_THAT(heard_.gone_leases, ElementsAre("l1", "l2"));
    EXPECT_EQ(leases_->counts().gone, 2U);
    for (const LeaseRow& row : rows()) EXPECT_EQ(row.state, LeaseState::Gone);
}

TEST_F(LeasesTest, AfterTheMissionsEndNothingIsHandedOut) {
    leases_->need(make_need(1));
    script_.answer("token-1");
    leases_->end_mission();

    leases_->need(make_need(2));

    EXPECT_EQ(heard_.held_messages.size(), 1U);
    ASSERT_EQ(heard_.failures.size(), 1U);
    EXPECT_EQ(heard_.failures[0].reason, "mission_ending");
}

// A mint in flight while the mission ends: retired at once and never used.
TEST_F(LeasesTest, AnAnswerAfterTheMissionsEndIsRetiredAndNeverUsed) {
    leases_->need(make_need(1));
    leases_->end_mission();
    EXPECT_FALSE(leases_->is_settled());
    ASSERT_EQ(heard_.failures.size(), 1U);

    script_.answer("token-1");

    EXPECT_TRUE(heard_.held_messages.empty());
    EXPECT_THAT(script_.retired, ElementsAre("token-1"));
    EXPECT_TRUE(leases_->is_settled());
    EXPECT_EQ(leases_->counts().gone, 1U);
    EXPECT_EQ(rows()[0].thumbprint, wire::to_hex(sha256("token-1")));
}

TEST_F(LeasesTest, AnAnswerThatNeverComesIsGivenUpAsAnOrphan) {
    script_.capabilities.mints = true;
    leases_->need(make_need(1));
    leases_->end_mission();

    pass(Milliseconds(kAcquireAtEndTimeout));

    EXPECT_TRUE(leases_->is_settled());
    EXPECT_EQ(leases_->counts().orphaned, 1U);
    script_.answer("too late");
    EXPECT_THAT(script_.retired, ElementsAre("too late"));
    EXPECT_EQ(leases_->counts().orphaned, 1U) << "a lease ends once";
}

TEST_F(LeasesTest, AnAnswerThatNeverComesFromASourceThatMintsNothingIsGone) {
    leases_->need(make_need(1));
    leases_->end_mission();

    pass(Milliseconds(kAcquireAtEndTimeout));

    EXPECT_EQ(leases_->counts().gone, 1U);
    EXPECT_EQ(leases_->counts().orphaned, 0U);
}

TEST_F(LeasesTest, WhatCannotBeRevokedIsParkedAndSaidSo) {
    script_.outcome = {RetireOutcome::End::LeftToExpire, "ends at its expiry"};
    leases_->need(make_need(1));
    script_.answer("token-1", WallTime{clock_.wall().unix_ms + 600'000}, RetireClass::Expires);

    leases_->end_mission();

    EXPECT_EQ(leases_->counts().parked, 1U);
    EXPECT_EQ(heard_.changes.back().state, "parked");
    EXPECT_THAT(heard_.changes.back().detail, HasSubstr("ends at its expiry"));
}

TEST_F(LeasesTest, ARetirementWithoutConfirmationIsParkedAndEndsOnce) {
    script_.holds_retire = true;
    leases_->need(make_need(1));
    script_.answer("token-1");
    leases_->end_mission();
    EXPECT_EQ(rows()[0].state, LeaseState::Retiring);

    pass(Milliseconds(kAcquireAtEndTimeout));

    EXPECT_TRUE(leases_->is_settled());
    EXPECT_EQ(leases_->counts().parked, 1U);
    script_.retiring.front()({});
    EXPECT_EQ(leases_->counts().gone, 0U);
}

TEST_F(LeasesTest, ManyLeasesForOneRequestEachDoNotGrowWithoutBound) {
    wire::LeaseNeed need = make_need(1);
    need.service = "once";
    const std::size_t count = kLeasesHeldMax + 10;
    for (std::size_t i = 0; i < count; ++i) leases_->need(need);

    EXPECT_EQ(script_.correlations.size(), kLeasesHeldMax);
    EXPECT_EQ(heard_.failures.size(), 10U);
}

}  // namespace
}  // namespace sanctum::vault
