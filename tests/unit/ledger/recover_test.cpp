// SPDX-License-Identifier: Apache-2.0
#include "ledger/read_ledger.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <filesystem>

namespace sanctum::ledger::test {
namespace {

// A mission whose launcher died: no end, and maybe a torn line.
void write_dead(const Scratch& scratch) {
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    ledger->append(lease("held"));
    ledger->append(intent(1));
    ASSERT_TRUE(ledger->flush());
}

Result<Recovery> recover_now(const Scratch& scratch, const std::vector<wire::LeaseChanged>& ends = {}) {
    const ManualClock clock;
    return recover(scratch.mission(), kMission, ends, scratch.receipts(), scratch.shared_key(), clock);
}

TEST(Recover, ADeadMissionIsCompletedAndSealed) {
    const Scratch scratch;
    write_dead(scratch);
    ASSERT_EQ(verify(scratch).state, LedgerState::Unsealed);

    const Result<Recovery> recovery = recover_now(scratch, {lease("gone")});

    ASSERT_TRUE(recovery) << recovery.error().what;
    EXPECT_EQ(recovery->kind, Recovery::Kind::Recovered);
    EXPECT_EQ(recovery->lease_ends, 1U);
    EXPECT_EQ(recovery->unknown, 1U);
    const Verification verification = verify(scratch);
    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    EXPECT_EQ(verification.receipt.end.reason, "lost");
    EXPECT_EQ(verification.unknown_outcomes, 1U);
    EXPECT_NE(read(scratch.ledger()).find(R"("exchange":"e1","status":0,"outcome":"unknown")"), std::string::npos);
    EXPECT_EQ(verification.receipt.lease_ends.at("gone"), 1U);
    EXPECT_FALSE(std::filesystem::exists(scratch.mission() + "/reserve"));
}

TEST(Recover, TheReceiptSaysWhenALeaseOfTheVaultsJournalWasUsedAndHowItEnded) {
    const Scratch scratch;
    write_dead(scratch);
    wire::LeaseChanged end = lease("gone");
    end.first_used_unix_ms = kTime + 1'000;
    end.last_used_unix_ms = kTime + 2'000;
    end.detail = "given back by the reaper";

    ASSERT_TRUE(recover_now(scratch, {end}));

    const Verification verification = verify(scratch);
    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    const ReceiptLease row = verification.receipt.leases.at(0);
    EXPECT_EQ(row.first_used, "2026-11-22T02:06:13.001Z");
    EXPECT_EQ(row.last_used, "2026-11-22T02:06:14.001Z");
    EXPECT_EQ(row.detail, "given back by the reaper");
}

TEST(Recover, ALeaseWhoseEndNobodyKnowsIsOrphaned) {
    const Scratch scratch;
    write_dead(scratch);

    ASSERT_TRUE(recover_now(scratch));

    EXPECT_EQ(verify(scratch).receipt.leases.at(0).state, "orphaned");
    EXPECT_EQ(verify(scratch).receipt.leases.at(0).expires, "") << "the lease had an end, not the credential";
}

TEST(Recover, AnUnterminatedLastLineIsCutAndCounted) {
    const Scratch scratch;
    write_dead(scratch);
    write(scratch.ledger(), read(scratch.ledger()) + R"({"v":1,"seq":)");

    const Result<Recovery> recovery = recover_now(scratch);

    ASSERT_TRUE(recovery) << recovery.error().what;
    EXPECT_EQ(recovery->repaired, 1U);
    EXPECT_EQ(verify(scratch).receipt.repaired, 1U);
}

TEST(Recover, ALivingMissionIsLeftAlone) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    ASSERT_TRUE(ledger->flush());
    const std::string before = read(scratch.ledger());

    const Result<Recovery> recovery = recover_now(scratch);

    ASSERT_TRUE(recovery);
    EXPECT_EQ(recovery->kind, Recovery::Kind::Alive);
    EXPECT_EQ(read(scratch.ledger()), before);
}

TEST(Recover, ABrokenLedgerIsEvidenceAndStaysAsItIs) {
    const Scratch scratch;
    write_dead(scratch);
    std::string changed = read(scratch.ledger());
    changed.replace(changed.find("quickstart"), 10, "slowstart!");
    write(scratch.ledger(), changed);

    const Result<Recovery> recovery = recover_now(scratch);

    ASSERT_FALSE(recovery);
    EXPECT_EQ(recovery.error().code, Errc::Protocol);
    EXPECT_EQ(read(scratch.ledger()), changed);
}

TEST(Recover, DoingItTwiceChangesNothing) {
    const Scratch scratch;
    write_dead(scratch);
    ASSERT_TRUE(recover_now(scratch));
    const std::string ledger = read(scratch.ledger());
    const std::string receipts = read(scratch.receipts());

    const Result<Recovery> again = recover_now(scratch);

    ASSERT_TRUE(again);
    EXPECT_EQ(again->kind, Recovery::Kind::Complete);
    EXPECT_EQ(read(scratch.ledger()), ledger);
    EXPECT_EQ(read(scratch.receipts()), receipts);
}

// AUD-07: whatever byte the writer died at, the ledger is completed, and verifies.
TEST(Recover, ACrashAtAnyByteOfTheEndIsRecovered) {
    const Scratch scratch;
    write_sealed(scratch, 12);
    const std::string whole = read(scratch.ledger());
    const std::string receipts = read(scratch.receipts());
    const std::size_t start = whole.find("\"lease.changed\"");
    const std::size_t first_whole_record = whole.find('\n') + 1;

    for (std::size_t cut = std::max(start, first_whole_record); cut < whole.size(); cut += 67) {
        std::filesystem::remove(scratch.mission() + "/receipt.json");
        std::filesystem::remove(scratch.receipts());
        write(scratch.ledger(), whole.substr(0, cut));
        const Result<Recovery> recovery = recover_now(scratch);
        ASSERT_TRUE(recovery) << recovery.error().what;
        ASSERT_EQ(recovery->kind, Recovery::Kind::Recovered);
        const Verification verification = verify(scratch);
        ASSERT_EQ(verification.state, LedgerState::Sealed) << cut << ": " << verification.why;
    }
}

TEST(Recover, ACrashBetweenTheTwoReceiptFilesGivesOneReceipt) {
    const Scratch scratch;
    write_sealed(scratch, 12);
    const std::string receipts = read(scratch.receipts());
    std::filesystem::remove(scratch.mission() + "/receipt.json");

    ASSERT_TRUE(recover_now(scratch));

    EXPECT_EQ(read(scratch.receipts()), receipts);
    EXPECT_EQ(verify(scratch).state, LedgerState::Sealed);
}

// The launcher may be killed anywhere between making the folder and writing the first record.
TEST(Recover, AMissionThatDiedBeforeItsFirstRecordIsRemovedWhereverItStopped) {
    for (const char* left : {"", "/mission.json.new-0123456789ab", "/mission.json"}) {
        SCOPED_TRACE(left);
        const Scratch scratch;
        const ManualClock clock;
        if (std::string(left) == "/mission.json") {
            create(scratch, clock).reset();
        } else {
            std::filesystem::create_directories(scratch.mission());
            if (*left != '\0') {
                write(scratch.mission() + left, "{");
                write(scratch.ledger(), "");
            }
        }

        const Result<Recovery> recovery = recover_now(scratch);

        ASSERT_TRUE(recovery) << recovery.error().what;
        EXPECT_EQ(recovery->kind, Recovery::Kind::Removed);
        EXPECT_FALSE(std::filesystem::exists(scratch.mission()));
    }
}

TEST(Recover, AFolderWithAReceiptOrAnythingUnknownIsNeverRemoved) {
    const Scratch scratch;
    write_sealed(scratch, 12);
    std::filesystem::remove(scratch.ledger());
    const Scratch other;
    std::filesystem::create_directories(other.mission());
    write(other.mission() + "/notes", "of somebody");

    EXPECT_EQ(recover_now(scratch).error().code, Errc::NotFound);
    EXPECT_FALSE(recover_now(other));

    EXPECT_TRUE(std::filesystem::exists(scratch.mission() + "/receipt.json"));
    EXPECT_TRUE(std::filesystem::exists(scratch.mission() + "/mission.json"));
    EXPECT_TRUE(std::filesystem::exists(other.mission() + "/notes"));
}

}  // namespace
}  // namespace sanctum::ledger::test
