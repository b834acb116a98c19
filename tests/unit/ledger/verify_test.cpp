// SPDX-License-Identifier: Apache-2.0
// Tamper resistance, shown by tampering; the Python verifier is asked the same by tests/support/tamper_ledger.py.
#include "ledger/receipt_file.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::ledger::test {
namespace {

constexpr std::uint64_t kRecords = 200;
constexpr const char* kVerifier = SANCTUM_SOURCE_DIR "/tests/support/verify_ledger.py";

std::string joined(const std::vector<std::string>& lines) {
    return std::accumulate(lines.begin(), lines.end(), std::string());
}

// Exit code of a program found on PATH.
int run(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0) return -1;
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class TamperedLedger : public ::testing::Test {
protected:
    void SetUp() override {
        write_sealed(scratch, kRecords);
        ledger = read(scratch.ledger());
        ASSERT_EQ(verify(scratch).state, LedgerState::Sealed);
    }
    LedgerState state_with(const std::string& bytes) {
        write(scratch.ledger(), bytes);
        return verify(scratch).state;
    }

    Scratch scratch;
    std::string ledger;
};

TEST_F(TamperedLedger, EveryFlippedByteIsFound) {
    const std::size_t records = lines(ledger).size();
    ASSERT_GE(records, kRecords - 5);

    for (std::size_t i = 0; i < ledger.size(); i += 331) {  // EveryByte below flips all of a short one
        std::string changed = ledger;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        ASSERT_EQ(state_with(changed), LedgerState::Broken) << "byte " << i;
    }
}

TEST_F(TamperedLedger, EveryCutTailIsFoundAndTheMissingRecordsCounted) {
    const std::vector<std::string> records = lines(ledger);

    for (std::size_t kept = 0; kept < records.size(); kept += 7) {
        const auto end = records.begin() + static_cast<std::ptrdiff_t>(kept);
        write(scratch.ledger(), joined({records.begin(), end}));
        const Verification verification = verify(scratch);
        ASSERT_EQ(verification.state, LedgerState::Broken) << kept;
        ASSERT_EQ(verification.bad_record, kept);
        ASSERT_NE(verification.why.find(std::to_string(records.size() - kept) + " record(s)"), std::string::npos);
    }
}

TEST_F(TamperedLedger, ReorderedInsertedAndDuplicatedRecordsAreFound) {
    const std::vector<std::string> records = lines(ledger);
    for (std::size_t i = 0; i + 1 < records.size(); i += 37) {
        std::vector<std::string> swapped = records;
        std::swap(swapped[i], swapped[i + 1]);
        ASSERT_EQ(state_with(joined(swapped)), LedgerState::Broken) << "swapped " << i;
        std::vector<std::string> doubled = records;
        doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(i), records[i]);
        ASSERT_EQ(state_with(joined(doubled)), LedgerState::Broken) << "doubled " << i;
        std::vector<std::string> missing = records;
        missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
        ASSERT_EQ(state_with(joined(missing)), LedgerState::Broken) << "missing " << i;
    }
}

TEST_F(TamperedLedger, TheChangedRecordIsTheOneThatIsNamed) {
    std::vector<std::string> records = lines(ledger);
    records[20].replace(records[20].find("quickstart"), 5, "slow-");
    write(scratch.ledger(), joined(records));

    EXPECT_EQ(verify(scratch).bad_record, 20U);
}

TEST_F(TamperedLedger, AChainThatWasComputedAgainWithoutTheKeyIsFound) {
    // The attacker writes a whole new ledger with a key of their own and keeps our receipt.
    const Scratch forger;
    write_sealed(forger, kRecords);
    std::filesystem::copy(forger.ledger(), scratch.ledger(), std::filesystem::copy_options::overwrite_existing);

    const Verification verification = verify(scratch);

    EXPECT_EQ(verification.state, LedgerState::Broken);
    EXPECT_EQ(verification.bad_record, 0U);
}

TEST_F(TamperedLedger, AReceiptWithAnyChangedByteIsFound) {
    const std::string path = scratch.mission() + "/receipt.json";
    const std::string receipt = read(path);

    for (std::size_t i = 0; i < receipt.size(); i += 61) {
        std::string changed = receipt;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        write(path, changed);
        ASSERT_EQ(verify(scratch).state, LedgerState::Broken) << "byte " << i;
    }
}

TEST_F(TamperedLedger, AReceiptThatSaysMoreThanTheLedgerIsFoundEvenWhenSigned) {
    const std::string path = scratch.mission() + "/receipt.json";
    std::string envelope = read(path);
    envelope.pop_back();
    Result<OpenedReceipt> opened = open_envelope(envelope, scratch.verifying_key());
    ASSERT_TRUE(opened);
    opened->receipt.counts.refused["resource_outside"] -= 1;
    write(path, seal_envelope(opened->receipt, scratch.signing_key()) + "\n");

    const Verification verification = verify(scratch);

    EXPECT_EQ(verification.state, LedgerState::Broken);
    EXPECT_NE(verification.why.find("something else"), std::string::npos);
}

// What an older Sanctum sealed has no uses; to say less in the newer form is no such excuse.
TEST_F(TamperedLedger, AReceiptMayLeaveOutALeasesUsesOnlyInItsFirstSchema) {
    const std::string path = scratch.mission() + "/receipt.json";
    std::string envelope = read(path);
    envelope.pop_back();
    Result<OpenedReceipt> opened = open_envelope(envelope, scratch.verifying_key());
    ASSERT_TRUE(opened);
    std::filesystem::remove(path);
    Receipt whole = verify(scratch).receipt;  // as the ledger gives it
    whole.head = opened->receipt.head;
    whole.previous = opened->receipt.previous;
    EXPECT_GT(whole.leases.at(0).uses, 3U) << "the vault told three, and the records of exchanges more";
    const Receipt older = in_schema(whole, kFirstReceiptSchema);
    EXPECT_EQ(older.leases.at(0).uses, 3U);
    write(path, seal_envelope(older, scratch.signing_key()) + "\n");
    EXPECT_EQ(verify(scratch).state, LedgerState::Sealed) << verify(scratch).why;
    EXPECT_EQ(run({"python3", kVerifier, scratch.mission(), "--key", scratch.public_key()}), 0);
    Receipt fewer = whole;
    fewer.leases.at(0).uses = 3;
    write(path, seal_envelope(fewer, scratch.signing_key()) + "\n");
    EXPECT_EQ(verify(scratch).state, LedgerState::Broken) << "the newer form has no such excuse";
    EXPECT_EQ(run({"python3", kVerifier, scratch.mission(), "--key", scratch.public_key()}), 3);

    Receipt receipt = older;
    receipt.schema = kReceiptSchema;
    write(path, seal_envelope(receipt, scratch.signing_key()) + "\n");

    EXPECT_EQ(verify(scratch).state, LedgerState::Broken);
    EXPECT_EQ(run({"python3", kVerifier, scratch.mission(), "--key", scratch.public_key()}), 3);
}

TEST_F(TamperedLedger, ADeletedReceiptIsFoundByTheMachinesChain) {
    std::filesystem::remove(scratch.mission() + "/receipt.json");
    const std::vector<std::string> records = lines(ledger);
    write(scratch.ledger(), joined({records.begin(), records.end() - 1}));
    const Result<ReceiptChain> chain = read_receipts(scratch.receipts(), scratch.verifying_key());
    ASSERT_TRUE(chain);

    const auto alone = verify_mission(scratch.mission(), kMission, scratch.verifying_key());
    const auto with_chain =
        verify_mission(scratch.mission(), kMission, scratch.verifying_key(), {{}, chain->find(kMission)});

    EXPECT_EQ(alone->state, LedgerState::Unsealed);
    EXPECT_EQ(with_chain->state, LedgerState::Broken);
}

TEST_F(TamperedLedger, AnOlderCopyIsFoundByAHeadThatWasKeptElsewhere) {
    const Verification full = verify(scratch);
    const KnownHead head{full.records - 1, full.head};
    EXPECT_EQ(verify_mission(scratch.mission(), kMission, scratch.verifying_key(), {head, nullptr})->state,
              LedgerState::Sealed);
    std::filesystem::remove(scratch.mission() + "/receipt.json");
    const std::vector<std::string> records = lines(ledger);
    write(scratch.ledger(), joined({records.begin(), records.begin() + 50}));

    EXPECT_EQ(verify_mission(scratch.mission(), kMission, scratch.verifying_key(), {head, nullptr})->state,
              LedgerState::Broken);
}

// The second implementation, which shares no code with the first, flips, cuts, reorders, inserts and duplicates too.
TEST(Verify, TheIndependentVerifierFindsTheSame) {
    const Scratch scratch;
    write_sealed(scratch, kRecords);
    const std::string program = std::string(SANCTUM_SOURCE_DIR) + "/tests/support/tamper_ledger.py";

    const int code = run({"python3", program, scratch.mission(), "--key", scratch.public_key(), "--receipts",
                          scratch.receipts()});

    EXPECT_EQ(code, 0);
}

TEST(Verify, EveryFlippedByteOfAShortLedgerIsFound) {
    const Scratch scratch;
    write_sealed(scratch, 12);
    const std::string ledger = read(scratch.ledger());

    for (std::size_t i = 0; i < ledger.size(); ++i) {
        std::string changed = ledger;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        write(scratch.ledger(), changed);
        ASSERT_EQ(verify(scratch).state, LedgerState::Broken) << "byte " << i;
    }
}

TEST(Verify, ATornTailOfADeadMissionIsUnsealedAndNotBroken) {
    const Scratch scratch;
    const ManualClock clock;
    {
        const auto ledger = create(scratch, clock);
        ledger->append(started());
        ledger->append(intent(1));
    }
    const std::string whole = read(scratch.ledger());
    const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;

    for (std::size_t cut = last + 1; cut < whole.size(); cut += 9) {
        write(scratch.ledger(), whole.substr(0, cut));
        const Verification verification = verify(scratch);
        ASSERT_EQ(verification.state, LedgerState::Unsealed) << cut;
        ASSERT_EQ(verification.torn_bytes, cut - last);
    }
}

TEST(Verify, ALivingMissionIsOpen) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    ASSERT_TRUE(ledger->flush());

    EXPECT_EQ(verify(scratch).state, LedgerState::Open);
    EXPECT_TRUE(*is_alive(scratch.mission()));
}

TEST(Verify, AnIntentWithoutAnOutcomeIsUnknown) {
    const Scratch scratch;
    const ManualClock clock;
    const auto ledger = create(scratch, clock);
    ledger->append(started());
    ledger->append(intent(1));
    ledger->append(intent(2));
    ledger->append(outcome(2));
    ASSERT_TRUE(ledger->seal(ended()));

    const Verification verification = verify(scratch);

    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    EXPECT_EQ(verification.unknown_outcomes, 1U);
    EXPECT_EQ(verification.receipt.counts.outcomes.at("unknown"), 1U);
}

TEST(Receipts, EveryMissionNamesTheOneBefore) {
    const Scratch scratch;
    const std::vector<std::string> ids = {"01kabcdefghjkmnpqrstvwxyz0", "01kabcdefghjkmnpqrstvwxyz1",
                                          "01kabcdefghjkmnpqrstvwxyz2"};
    for (const std::string& id : ids) write_sealed(scratch, 20, id);

    const Result<ReceiptChain> whole = read_receipts(scratch.receipts(), scratch.verifying_key());
    std::vector<std::string> receipts = lines(read(scratch.receipts()));
    write(scratch.receipts(), receipts[0] + receipts[2]);
    const Result<ReceiptChain> cut = read_receipts(scratch.receipts(), scratch.verifying_key());

    ASSERT_TRUE(whole);
    EXPECT_FALSE(whole->bad_line);
    EXPECT_EQ(whole->receipts.size(), 3U);
    EXPECT_EQ(cut->bad_line, 2U);
}

TEST(Receipts, ATornLastLineIsCutBeforeTheNextReceipt) {
    const Scratch scratch;
    write_sealed(scratch, 20, "01kabcdefghjkmnpqrstvwxyz0");
    write(scratch.receipts(), read(scratch.receipts()) + R"({"payloadType":"appl)");

    write_sealed(scratch, 20, "01kabcdefghjkmnpqrstvwxyz1");

    const Result<ReceiptChain> chain = read_receipts(scratch.receipts(), scratch.verifying_key());
    ASSERT_TRUE(chain);
    EXPECT_FALSE(chain->bad_line) << chain->why;
    EXPECT_EQ(chain->receipts.size(), 2U);
}

}  // namespace
}  // namespace sanctum::ledger::test
