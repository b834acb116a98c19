// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/mission_lock.hpp"
#include "vault/reaper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using ::testing::HasSubstr;
using test::give_nothing_back;
using test::TemporaryFolder;

constexpr Milliseconds kShortWait{20};
constexpr auto kDurableNow = Journal::Durable::Now;

Journal open_journal(const TemporaryFolder& folder) { return Journal::open(folder.path(), kShortWait).value(); }

LeaseRow make_row(const std::string& mission, const std::string& lease) {
    const ManualClock clock;
    LeaseRow row;
    row.correlation = make_ulid(clock.wall());
    row.mission = mission;
    row.lease = lease;
    row.service = "git";
    row.account = "team";
    row.source = "local";
    row.asked = {"fetch", "push"};
    row.risk = "low";
    row.wanted_unix_ms = clock.wall().unix_ms;
    row.expires_unix_ms = clock.wall().unix_ms + 60'000;
    return row;
}

std::string add_mission(Journal& journal) {
    const ManualClock clock;
    const std::string mission = make_ulid(clock.wall());
    EXPECT_TRUE(journal.add_mission({mission, clock.wall().unix_ms, clock.wall().unix_ms + 60'000, false}));
    return mission;
}

void run_sql(const TemporaryFolder& folder, const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(::sqlite3_open((folder / "state.db").c_str(), &database), SQLITE_OK);
    ASSERT_EQ(::sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    ::sqlite3_close(database);
}

TEST(Journal, AnIntentIsThereAfterTheProcessThatWroteItWasKilled) {
    const TemporaryFolder folder;
    const pid_t writer = ::fork();
    if (writer == 0) {
        Journal journal = open_journal(folder);
        const std::string mission = add_mission(journal);
        static_cast<void>(journal.add_lease(make_row(mission, "l1"), kDurableNow));
        ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(writer, &status, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(status));

    Journal journal = open_journal(folder);

    const std::vector<MissionRow> missions = journal.unsettled_missions("", 10).value();
    ASSERT_EQ(missions.size(), 1U);
    const std::vector<LeaseRow> leases = journal.leases_of(missions[0].mission).value();
    ASSERT_EQ(leases.size(), 1U);
    EXPECT_EQ(leases[0].state, LeaseState::Wanted);
    EXPECT_EQ(leases[0].asked, (std::vector<std::string>{"fetch", "push"}));
}

TEST(Journal, EveryFieldOfALeaseComesBack) {
    const TemporaryFolder folder;
    Journal journal = open_journal(folder);
    LeaseRow row = make_row(add_mission(journal), "l1");
    ASSERT_TRUE(journal.add_lease(row, kDurableNow));
    row.state = LeaseState::Parked;
    row.received = std::vector<std::string>{};
    row.narrowed_by = NarrowedBy::Both;
    row.retire = RetireClass::KillsGrant;
    row.approval = "a1";
    row.handle = "accessor";
    row.thumbprint = "ab";
    row.detail = "why 'quoted'";
    row.mints = true;
    row.alive_until_unix_ms = 17;
    row.handed_out = 3;
    row.uses = 4;
    row.first_used_unix_ms = 5;
    row.last_used_unix_ms = 6;

    ASSERT_TRUE(journal.update_leases({row}, kDurableNow));

    const LeaseRow read = journal.leases_of(row.mission).value().at(0);
    EXPECT_EQ(wire::to_json(to_record(read)), wire::to_json(to_record(row)));
    EXPECT_TRUE(read.received.has_value());
    EXPECT_EQ(read.correlation, row.correlation);
    EXPECT_EQ(read.handle, row.handle);
    EXPECT_EQ(read.approval, row.approval);
    EXPECT_EQ(read.mints, row.mints);
    EXPECT_EQ(read.alive_until_unix_ms, row.alive_until_unix_ms);
    EXPECT_EQ(read.handed_out, row.handed_out);
}

TEST(Journal, UpdatingALeaseThatIsNotThereChangesNothingAtAll) {
    const TemporaryFolder folder;
    Journal journal = open_journal(folder);
    LeaseRow known = make_row(add_mission(journal), "l1");
    ASSERT_TRUE(journal.add_lease(known, kDurableNow));
    known.state = LeaseState::Held;

    const Status updated = journal.update_leases({known, make_row(known.mission, "l2")}, kDurableNow);

    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code, Errc::NotFound);
    EXPECT_EQ(journal.leases_of(known.mission).value().at(0).state, LeaseState::Wanted);
}

// state.db as the program of version 0.1.0 left it after one mission with three leases.
std::string recorded_sql() {
    return read_file(std::string(SANCTUM_SOURCE_DIR) + "/tests/recorded/0.1.0/state/state.sql", 1U << 20U).value();
}

std::int64_t number_of(const TemporaryFolder& folder, const char* sql) {
    sqlite3* database = nullptr;
    EXPECT_EQ(::sqlite3_open((folder / "state.db").c_str(), &database), SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(::sqlite3_prepare_v2(database, sql, -1, &statement, nullptr), SQLITE_OK);
    EXPECT_EQ(::sqlite3_step(statement), SQLITE_ROW);
    const std::int64_t number = ::sqlite3_column_int64(statement, 0);
    ::sqlite3_finalize(statement);
    ::sqlite3_close(database);
    return number;
}

TEST(Journal, ARecordedOlderVersionIsMigratedWithAllItsRows) {
    const TemporaryFolder folder;
    run_sql(folder, recorded_sql().c_str());
    ASSERT_EQ(number_of(folder, "PRAGMA user_version"), 1);

    Journal journal = open_journal(folder);

    EXPECT_EQ(number_of(folder, "PRAGMA user_version"), 4);
    EXPECT_EQ(journal.missions().value().at(0).parent, "");
    const std::vector<MissionRow> missions = journal.unsettled_missions("", 10).value();
    ASSERT_EQ(missions.size(), 1U);
    const std::vector<LeaseRow> leases = journal.leases_of(missions[0].mission).value();
    ASSERT_EQ(leases.size(), 3U);
    EXPECT_EQ(leases[2].lease, "l3");
    EXPECT_EQ(leases[2].asked, std::vector<std::string>{"push"});
    EXPECT_EQ(leases[2].state, LeaseState::Gone);
    LeaseRow added = make_row(missions[0].mission, "l4");
    EXPECT_TRUE(journal.add_lease(added, kDurableNow));
}

TEST(Journal, AMigrationThatCannotFinishLeavesTheOlderVersionWhole) {
    const TemporaryFolder folder;
    run_sql(folder, (recorded_sql() + "CREATE TABLE unsettled_missions (x);").c_str());

    EXPECT_FALSE(Journal::open(folder.path(), kShortWait));

    EXPECT_EQ(number_of(folder, "PRAGMA user_version"), 1);
    EXPECT_EQ(number_of(folder, "SELECT count(*) FROM leases"), 3);
}

TEST(Journal, ANewerVersionIsRefusedAndLeftAlone) {
    const TemporaryFolder folder;
    static_cast<void>(open_journal(folder));
    run_sql(folder, "PRAGMA user_version = 5");

    const Result<Journal> journal = Journal::open(folder.path(), kShortWait);

    ASSERT_FALSE(journal);
    EXPECT_EQ(journal.error().code, Errc::Unsupported);
    EXPECT_THAT(journal.error().what, HasSubstr("version 5"));
    EXPECT_EQ(number_of(folder, "PRAGMA user_version"), 5);
}

TEST(Journal, ADamagedFileIsRefusedNamedAndLeftAsItIs) {
    const TemporaryFolder folder;
    std::ofstream(folder / "state.db") << std::string(8192, 'x');

    const Result<Journal> journal = Journal::open(folder.path(), kShortWait);

    ASSERT_FALSE(journal);
    EXPECT_EQ(journal.error().code, Errc::Protocol);
    EXPECT_THAT(journal.error().what, HasSubstr("state.db"));
    EXPECT_EQ(read_file(folder / "state.db", 10'000).value(), std::string(8192, 'x'));
}

TEST(Journal, ItsFileIsForItsOwnerOnly) {
    const TemporaryFolder folder;
    static_cast<void>(open_journal(folder));
    struct stat status {};
    ASSERT_EQ(::stat((folder / "state.db").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(Journal, TwoMissionsKeepTheirOwnLeases) {
    const TemporaryFolder folder;
    Journal one = open_journal(folder);
    Journal two = open_journal(folder);
    const std::string first = add_mission(one);
    const std::string second = add_mission(two);

    ASSERT_TRUE(one.add_lease(make_row(first, "l1"), kDurableNow));
    ASSERT_TRUE(two.add_lease(make_row(second, "l1"), kDurableNow));

    EXPECT_EQ(one.leases_of(second).value().size(), 1U);
    EXPECT_EQ(two.leases_of(first).value().size(), 1U);
    EXPECT_FALSE(one.add_lease(make_row(first, "l1"), kDurableNow)) << "a lease's name is used once in a mission";
}

TEST(Journal, SettledMissionsAreForgottenAfterTheirTimeAndOthersNever) {
    const TemporaryFolder folder;
    Journal journal = open_journal(folder);
    const std::string settled = add_mission(journal);
    const std::string open = add_mission(journal);
    ASSERT_TRUE(journal.add_lease(make_row(settled, "l1"), kDurableNow));
    ASSERT_TRUE(journal.add_lease(make_row(open, "l1"), kDurableNow));
    ASSERT_TRUE(journal.settle_mission(settled));

    ASSERT_TRUE(journal.forget_settled({ManualClock().wall().unix_ms + 1}));

    EXPECT_TRUE(journal.leases_of(settled).value().empty());
    EXPECT_EQ(journal.leases_of(open).value().size(), 1U);
}

// --- reaper -------------------------------------------------------------------------------------------------------

struct DeadLease {
    const char* name;
    LeaseState state;
    RetireClass retire;
    bool mints;
    std::int64_t alive_until;  // relative to now; 0: unknown
    LeaseState becomes;
};

class EndOfDeadLease : public ::testing::TestWithParam<DeadLease> {};

TEST_P(EndOfDeadLease, IsWhatCanHonestlyBeSaid) {
    const DeadLease& given = GetParam();
    const WallTime now = ManualClock().wall();
    LeaseRow row = make_row("m", "l1");
    row.state = given.state;
    row.retire = given.retire;
    row.mints = given.mints;
    if (given.alive_until != 0) row.alive_until_unix_ms = now.unix_ms + given.alive_until;

    const bool changed = end_dead_lease(row, now);

    EXPECT_EQ(row.state, given.becomes);
    EXPECT_EQ(changed, given.state != given.becomes);
}

INSTANTIATE_TEST_SUITE_P(
    Reaper, EndOfDeadLease,
    ::testing::Values(
        DeadLease{"LocalNeverFetched", LeaseState::Wanted, RetireClass::None, false, 0, LeaseState::Gone},
        DeadLease{"MintWithoutAnswer", LeaseState::Wanted, RetireClass::Expires, true, 9000, LeaseState::Orphaned},
        DeadLease{"MintLongAgo", LeaseState::Wanted, RetireClass::Expires, true, -1, LeaseState::Expired},
        DeadLease{"LocalHeld", LeaseState::Held, RetireClass::None, false, 0, LeaseState::Gone},
        DeadLease{"LocalRetiring", LeaseState::Retiring, RetireClass::None, false, 0, LeaseState::Gone},
        DeadLease{"HeldAlive", LeaseState::Held, RetireClass::Expires, true, 9000, LeaseState::Parked},
        DeadLease{"HeldPast", LeaseState::Held, RetireClass::Expires, true, -1, LeaseState::Expired},
        DeadLease{"HeldWithoutKnownEnd", LeaseState::Held, RetireClass::KillsGrant, true, 0, LeaseState::Parked},
        DeadLease{"ParkedAlive", LeaseState::Parked, RetireClass::Expires, true, 9000, LeaseState::Parked},
        DeadLease{"ParkedPast", LeaseState::Parked, RetireClass::Expires, true, -1, LeaseState::Expired},
        DeadLease{"MintOfUnknownLife", LeaseState::Wanted, RetireClass::Self, true, 0, LeaseState::Orphaned},
        DeadLease{"ParkedWithoutKnownEnd", LeaseState::Parked, RetireClass::Self, true, 0, LeaseState::Parked},
        DeadLease{"OrphanWithoutKnownEnd", LeaseState::Orphaned, RetireClass::Self, true, 0, LeaseState::Orphaned},
        DeadLease{"OrphanAlive", LeaseState::Orphaned, RetireClass::Expires, true, 9000, LeaseState::Orphaned},
        DeadLease{"OrphanPast", LeaseState::Orphaned, RetireClass::Expires, true, -1, LeaseState::Expired},
        DeadLease{"Gone", LeaseState::Gone, RetireClass::None, false, -1, LeaseState::Gone},
        DeadLease{"Failed", LeaseState::Failed, RetireClass::None, false, 0, LeaseState::Failed}),
    [](const auto& tested) { return tested.param.name; });

// A state folder with one mission and its lease `l1` held, as a killed vault leaves it.
class Reaper : public ::testing::Test {
protected:
    void SetUp() override {
        mission_ = add_mission(journal_);
        LeaseRow row = make_row(mission_, "l1");
        row.state = LeaseState::Held;
        ASSERT_TRUE(journal_.add_lease(row, kDurableNow));
        ASSERT_TRUE(make_folders(folder_ / "missions/" + mission_, 0700));
        std::ofstream(folder_ / "missions/" + mission_ + "/ledger.jsonl") << "";
    }
    ReapReport reap_now() {
        told_.clear();
        const auto tell = [&](const LeaseRow& row) { told_.push_back(to_record(row)); };
        return reap(folder_.path(), "", clock_, give_back_, tell).value();
    }
    LeaseState state() { return journal_.leases_of(mission_).value().at(0).state; }
    void seal_ledger() { std::ofstream(folder_ / "missions/" + mission_ + "/receipt.json") << "{}"; }

    TemporaryFolder folder_;
    Journal journal_ = open_journal(folder_);
    ManualClock clock_;
    std::string mission_;
    std::vector<wire::LeaseChanged> told_;
    GiveBack give_back_ = give_nothing_back;
};

TEST_F(Reaper, WhatHasNoKnownEndIsNeverOverUntilTheOperatorSaysSo) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Self;
    row.retirement = "sealed";
    row.alive_until_unix_ms = 0;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    const auto forget = [&](const std::string& lease) { return forget_lease(folder_.path(), mission_, lease); };
    EXPECT_EQ(forget("l1").error().code, Errc::Denied) << "its record is not sealed";
    EXPECT_EQ(reap_now().waiting, 1U);
    EXPECT_EQ(told_.at(0).expires_unix_ms, 0) << "the lease's end is not the credential's";
    EXPECT_THAT(told_.at(0).detail, ::testing::HasSubstr("its end is not known"));
    seal_ledger();
    for (int year = 0; year < 3; ++year) {
        clock_.advance(std::chrono::hours(24 * 365));
        EXPECT_EQ(reap_now().waiting, 1U);
    }
    EXPECT_EQ(state(), LeaseState::Parked);

    EXPECT_EQ(forget("l2").error().code, Errc::NotFound);
    EXPECT_EQ(forget_lease(folder_.path(), "../x", "l1").error().code, Errc::InvalidProfile);
    {
        const Result<UniqueFd> vault = lock_file(vault_lock_path(folder_.path(), mission_), Wait::No);
        ASSERT_TRUE(vault);
        EXPECT_THAT(forget("l1").error().what, ::testing::HasSubstr("its mission runs"));
    }
    const Result<LeaseRow> forgotten = forget("l1");

    ASSERT_TRUE(forgotten) << forgotten.error().what;
    EXPECT_EQ(state(), LeaseState::Expired);
    EXPECT_EQ(forgotten->retirement, "") << "nothing is sent for it any more";
    EXPECT_THAT(forgotten->detail, ::testing::StartsWith("forgotten by the operator, who says that it is over; "));
    EXPECT_EQ(forget("l1").error().code, Errc::Denied) << "once";
    EXPECT_EQ(reap_now().waiting, 0U);
    EXPECT_TRUE(told_.empty()) << "the sealed record stays as it is";
    EXPECT_TRUE(unfinished_missions(folder_.path(), clock_).value().empty());
}

TEST_F(Reaper, WhatWasDoneForACredentialThatLivesOnIsDoneOnceAndItIsCountedUntilItsEnd) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Expires;
    row.retirement = "sealed";
    row.alive_until_unix_ms = clock_.wall().unix_ms + 3'600'000;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    int asked = 0;
    give_back_ = [&](const LeaseRow&) {
        ++asked;
        return RetireOutcome{RetireOutcome::End::LeftToExpire, "the user's refresh token is revoked"};
    };

    EXPECT_EQ(reap_now().waiting, 1U);
    EXPECT_EQ(reap_now().waiting, 1U);

    EXPECT_EQ(asked, 1);
    EXPECT_EQ(state(), LeaseState::Parked);
    EXPECT_EQ(told_.at(0).detail, "the vault ended; the user's refresh token is revoked by the reaper");
    clock_.advance(Milliseconds(3'600'000));
    EXPECT_EQ(reap_now().waiting, 0U);
    EXPECT_EQ(state(), LeaseState::Expired);
}

TEST_F(Reaper, WhatAReaperLacksIsSaidOfALeaseThatItCannotGiveBack) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Self;
    row.detail = "the reaper does not have the secret";
    row.alive_until_unix_ms = clock_.wall().unix_ms + 3'600'000;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));

    reap_now();

    EXPECT_EQ(told_.at(0).detail, "the vault ended; the credential is alive until it expires; the reaper does not have "
                                  "the secret");
}

TEST_F(Reaper, WhatCameBesideACredentialStaysOnRecordWhenThatIsGivenBack) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Self;
    row.retirement = "sealed";
    row.detail = "another token came along, which ends at its own time";
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    give_back_ = [](const LeaseRow&) { return RetireOutcome{RetireOutcome::End::Gone, "revoked at tenant acme"}; };

    reap_now();

    EXPECT_EQ(state(), LeaseState::Gone);
    EXPECT_EQ(told_.at(0).detail, "the vault ended; revoked at tenant acme by the reaper; another token came along, "
                                  "which ends at its own time");
}

TEST_F(Reaper, WhatAVaultCouldNotGiveBackIsGivenBackAsSoonAsItCanBe) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Self;
    row.retirement = "sealed";
    row.alive_until_unix_ms = clock_.wall().unix_ms + 3'600'000;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));

    EXPECT_EQ(reap_now().waiting, 1U) << "the provider is down";
    EXPECT_EQ(state(), LeaseState::Parked);
    EXPECT_EQ(journal_.leases_of(mission_).value().at(0).retirement, "sealed") << "it is tried again";

    int asked = 0;
    give_back_ = [&](const LeaseRow& lease) {
        ++asked;
        EXPECT_EQ(lease.retirement, "sealed");
        return RetireOutcome{RetireOutcome::End::Gone, "revoked at GitHub"};
    };
    reap_now();
    reap_now();

    EXPECT_EQ(asked, 1) << "once is enough";
    EXPECT_EQ(state(), LeaseState::Gone);
    EXPECT_EQ(journal_.leases_of(mission_).value().at(0).retirement, "");
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_THAT(told_[0].detail, HasSubstr("revoked at GitHub by the reaper"));
}

TEST_F(Reaper, WhatHasExpiredIsNotSentToAnybody) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.state = LeaseState::Orphaned;
    row.mints = true;
    row.retirement = "sealed";
    row.alive_until_unix_ms = clock_.wall().unix_ms - 1;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    give_back_ = [](const LeaseRow&) -> RetireOutcome {
        ADD_FAILURE() << "sent";
        return {};
    };
    reap_now();
    EXPECT_EQ(state(), LeaseState::Expired);
}

// At boot, above all, when the clock was not set yet and the network is not there.
TEST_F(Reaper, WhatCouldBeGivenBackIsTriedForADayAfterItsEndByThisClock) {
    constexpr std::int64_t kHour = 3'600'000;
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Self;
    row.retirement = "sealed";
    row.alive_until_unix_ms = clock_.wall().unix_ms + kHour;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    const WallTime right = clock_.wall();
    clock_.set_wall({right.unix_ms + 20 * kHour});
    EXPECT_EQ(reap_now().waiting, 1U);
    EXPECT_EQ(state(), LeaseState::Parked) << "the provider was not reached, and the clock may be wrong";
    clock_.set_wall({right.unix_ms - 20 * kHour});
    give_back_ = [](const LeaseRow&) { return RetireOutcome{RetireOutcome::End::Gone, "revoked"}; };
    reap_now();
    EXPECT_EQ(state(), LeaseState::Gone);
}

TEST_F(Reaper, WhatCouldBeGivenBackIsGivenUpADayAfterItsEnd) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Self;
    row.retirement = "sealed";
    row.alive_until_unix_ms = clock_.wall().unix_ms + 1000;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    clock_.advance(Milliseconds(kGiveBackAfterEnd) + Milliseconds(1000));
    reap_now();
    EXPECT_EQ(state(), LeaseState::Expired);
    EXPECT_EQ(journal_.leases_of(mission_).value().at(0).retirement, "");
}

// A boot-time clock that begins again, and a boot id that is another: the journal has neither.
TEST_F(Reaper, ARebootChangesNothingOfWhatItDoes) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Expires;
    row.alive_until_unix_ms = clock_.wall().unix_ms + 5000;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    const auto reap_at = [&](std::int64_t after) {
        const ManualClock rebooted({clock_.wall().unix_ms + after}, {7});
        static_cast<void>(reap(folder_.path(), "", rebooted, give_back_, [](const LeaseRow&) {}).value());
        return state();
    };
    EXPECT_EQ(reap_at(4000), LeaseState::Parked);
    EXPECT_EQ(reap_at(5000), LeaseState::Expired);
}

TEST_F(Reaper, MissionsThatMustWaitDoNotHideTheLaterOnes) {
    LeaseRow waiting = journal_.leases_of(mission_).value().at(0);
    waiting.state = LeaseState::Orphaned;
    waiting.mints = true;
    waiting.alive_until_unix_ms = clock_.wall().unix_ms + 3'600'000;
    ASSERT_TRUE(journal_.update_leases({waiting}, kDurableNow));
    for (std::size_t i = 1; i < kReapMissionsMax; ++i) {
        waiting.mission = add_mission(journal_);
        waiting.correlation = make_ulid(clock_.wall());
        ASSERT_TRUE(journal_.add_lease(waiting, Journal::Durable::Later));
    }
    const MissionRow last{make_ulid(clock_.wall()), clock_.wall().unix_ms + 1, clock_.wall().unix_ms + 1, false};
    ASSERT_TRUE(journal_.add_mission(last));
    LeaseRow dead = make_row(last.mission, "l1");
    dead.state = LeaseState::Held;
    ASSERT_TRUE(journal_.add_lease(dead, kDurableNow));

    const ReapReport report = reap_now();

    EXPECT_EQ(report.waiting, kReapMissionsMax);
    EXPECT_EQ(journal_.leases_of(last.mission).value().at(0).state, LeaseState::Gone);
}

TEST_F(Reaper, ALeaseOfADeadVaultGetsItsEnd) {
    const ReapReport report = reap_now();

    EXPECT_EQ(report.finished, 1U);
    EXPECT_EQ(state(), LeaseState::Gone);
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_EQ(told_[0].lease, "l1");
    EXPECT_EQ(told_[0].state, "gone");
}

TEST_F(Reaper, ALeaseOfALivingVaultIsLeftAlone) {
    const Result<UniqueFd> lock = lock_file(vault_lock_path(folder_.path(), mission_), Wait::No);
    ASSERT_TRUE(lock);

    const ReapReport report = reap_now();

    EXPECT_EQ(report.alive, 1U);
    EXPECT_EQ(state(), LeaseState::Held);
    EXPECT_TRUE(told_.empty());
}

TEST_F(Reaper, ASecondRunFinishesNothingAgainButTellsUntilTheLedgerIsSealed) {
    reap_now();

    EXPECT_EQ(reap_now().finished, 0U);
    EXPECT_EQ(told_.size(), 1U);
    seal_ledger();
    EXPECT_EQ(reap_now().finished, 0U);
    EXPECT_TRUE(told_.empty());
    EXPECT_TRUE(journal_.unsettled_missions("", 10).value().empty());
}

TEST_F(Reaper, AParkedLeaseIsVisitedUntilItsTimeHasPassed) {
    LeaseRow row = journal_.leases_of(mission_).value().at(0);
    row.retire = RetireClass::Expires;
    row.alive_until_unix_ms = clock_.wall().unix_ms + 5000;
    ASSERT_TRUE(journal_.update_leases({row}, kDurableNow));
    seal_ledger();

    EXPECT_EQ(reap_now().waiting, 1U);
    EXPECT_EQ(state(), LeaseState::Parked);
    EXPECT_EQ(journal_.unsettled_missions("", 10).value().size(), 1U);
    clock_.advance(Milliseconds(5000));
    EXPECT_EQ(reap_now().waiting, 0U);
    EXPECT_EQ(state(), LeaseState::Expired);
    EXPECT_TRUE(journal_.unsettled_missions("", 10).value().empty());
}

TEST_F(Reaper, OnlyAMissionWhoseCredentialMayBeAliveIsUnfinished) {
    EXPECT_EQ(unfinished_missions(folder_.path(), clock_).value(), std::vector<std::string>{});  // gone with its vault
    LeaseRow minted = make_row(mission_, "l9");
    minted.mints = true;
    minted.wanted_unix_ms += 1;
    minted.alive_until_unix_ms = clock_.wall().unix_ms + 1000;
    ASSERT_TRUE(journal_.add_lease(minted, kDurableNow));
    EXPECT_EQ(unfinished_missions(folder_.path(), clock_).value(), std::vector<std::string>{mission_});
    EXPECT_EQ(state(), LeaseState::Held);  // looking changes nothing

    clock_.advance(Milliseconds(1000));
    EXPECT_EQ(unfinished_missions(folder_.path(), clock_).value(), std::vector<std::string>{});
    const UniqueFd vault = lock_file(vault_lock_path(folder_.path(), mission_), Wait::No).value();
    EXPECT_EQ(unfinished_missions(folder_.path(), clock_).value(), std::vector<std::string>{mission_});
}

TEST_F(Reaper, SeveralAtOnceEndEachLeaseOnce) {
    constexpr int kReapers = 4;
    for (int i = 0; i < kReapers; ++i) {
        if (::fork() != 0) continue;
        const Result<ReapReport> report = reap(folder_.path(), "", clock_, give_nothing_back, [](const LeaseRow&) {});
        ::_exit(!report ? 100 : static_cast<int>(report->finished));
    }
    int finished = 0;
    for (int i = 0; i < kReapers; ++i) {
        int status = 0;
        ASSERT_GT(::wait(&status), 0);
        ASSERT_TRUE(WIFEXITED(status));
        ASSERT_NE(WEXITSTATUS(status), 100);
        finished += WEXITSTATUS(status);
    }
    EXPECT_EQ(finished, 1);
    EXPECT_EQ(state(), LeaseState::Gone);
}

TEST_F(Reaper, OneMissionCanBeNamedAndAWrongNameIsAnError) {
    const std::string other = add_mission(journal_);

    ASSERT_TRUE(reap(folder_.path(), other, clock_, give_nothing_back, [](const LeaseRow&) {}));
    EXPECT_EQ(state(), LeaseState::Held);
    EXPECT_FALSE(reap(folder_.path(), "../x", clock_, give_nothing_back, [](const LeaseRow&) {}));
    ASSERT_TRUE(reap(folder_.path(), mission_, clock_, give_nothing_back, [](const LeaseRow&) {}));
    EXPECT_EQ(state(), LeaseState::Gone);
}

TEST(ReaperAlone, AMachineWithoutMissionsHasNothingToReap) {
    const TemporaryFolder folder;
    const SystemClock clock;
    const auto never = [](const LeaseRow&) { FAIL(); };
    const Result<ReapReport> report = reap(folder.path(), "", clock, give_nothing_back, never);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->finished, 0U);
}

}  // namespace
}  // namespace sanctum::vault
