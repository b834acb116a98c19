// SPDX-License-Identifier: Apache-2.0
// Which heads a ledger tells its witness, when, and what record, receipt and verifier say about it.
#include "ledger/head_witness.hpp"

#include "base/limits.hpp"
#include "ledger/chain_file.hpp"
#include "ledger/receipt_file.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <semaphore>

namespace sanctum::ledger::test {
namespace {

// Takes every head but those in `missed`, and notes what was in the file at that moment.
class NotedHeads final : public HeadWitness {
public:
    NotedHeads(const Scratch& scratch, std::size_t missed) : scratch_(scratch), missed_(missed) {}
    void tell(const SignedHead& head) override {
        heads.push_back(head);
        were_written = were_written && read(scratch_.ledger()).find(head.signature) != std::string::npos;
        told_.release();
    }
    std::uint64_t settle() override { return heads.size() - std::min(heads.size(), missed_); }
    [[nodiscard]] bool wait_for_one() { return told_.try_acquire_for(kLedgerHeadInterval / 2); }
    std::string fault() const override { return missed_ == 0 ? "" : "exit status 3"; }

    std::vector<SignedHead> heads;
    bool were_written = true;

private:
    const Scratch& scratch_;
    std::size_t missed_;
    std::counting_semaphore<> told_{0};
};

std::unique_ptr<Ledger> create_with(const Scratch& scratch, const Clock& clock, HeadWitness& witness) {
    auto ledger = Ledger::create(scratch.mission(), kMission, "{}", scratch.receipts(), scratch.signing_key(), clock,
                                 &witness);
    EXPECT_TRUE(ledger) << (ledger ? "" : ledger.error().what);
    return std::move(ledger).value();
}

std::vector<HeadSigned> heads_in(const Scratch& scratch) {
    std::vector<HeadSigned> out;
    const Status walked = for_each_record(scratch.mission(), [&](const ReadRecord& read, const std::string&) {
        if (const auto* head = std::get_if<HeadSigned>(&read.record)) out.push_back(*head);
        return true;
    });
    EXPECT_TRUE(walked);
    return out;
}

TEST(HeadWitness, IsToldOfEveryHeadOnceItIsWritten) {
    const Scratch scratch;
    const ManualClock clock;
    NotedHeads witness(scratch, 0);
    const auto ledger = create_with(scratch, clock, witness);
    ledger->append(started());
    for (std::uint64_t exchange = 1; exchange <= kLedgerHeadRecords; ++exchange) ledger->append(intent(exchange));
    // Neither a flush nor the next head's time: a full batch's head is synced for the witness.
    ASSERT_TRUE(witness.wait_for_one());
    ASSERT_TRUE(witness.wait_for_one());

    const Result<Sealed> sealed = ledger->seal(ended());

    ASSERT_TRUE(sealed) << sealed.error().what;
    const std::vector<HeadSigned> heads = heads_in(scratch);
    ASSERT_EQ(heads.size(), 3U);  // the first record's, the full batch's, the last
    ASSERT_EQ(witness.heads.size(), heads.size());
    for (std::size_t i = 0; i < heads.size(); ++i) {
        EXPECT_EQ(witness.heads[i].head_seq, heads[i].head_seq);
        EXPECT_EQ(witness.heads[i].head, heads[i].head);
        EXPECT_EQ(witness.heads[i].signature, heads[i].signature);
        EXPECT_EQ(witness.heads[i].mission, kMission);
        EXPECT_EQ(witness.heads[i].key, scratch.verifying_key().id());
    }
    EXPECT_TRUE(witness.were_written);
    EXPECT_EQ(sealed->witness->told, 3U);
    EXPECT_EQ(sealed->witness->of, 3U);
    EXPECT_EQ(verify(scratch).state, LedgerState::Sealed);
    EXPECT_EQ(verify(scratch).receipt.witness->of, 3U);
}

TEST(HeadWitness, WhatItWasNotToldIsInRecordReceiptAndWords) {
    const Scratch scratch;
    const ManualClock clock;
    NotedHeads witness(scratch, 1);
    const auto ledger = create_with(scratch, clock, witness);
    ledger->append(started());

    const Result<Sealed> sealed = ledger->seal(ended());

    ASSERT_TRUE(sealed) << sealed.error().what;
    EXPECT_EQ(sealed->witness_fault, "exit status 3");
    EXPECT_THAT(read(scratch.ledger()), ::testing::HasSubstr(R"("witness":{"told":0,"of":1}})"));
    const Verification verification = verify(scratch);
    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    EXPECT_EQ(verification.receipt.witness->told, 1U);
    EXPECT_EQ(verification.receipt.witness->of, 2U);
    EXPECT_THAT(render_receipt(verification.receipt), ::testing::HasSubstr("told 1 of 2 signed heads"));
}

TEST(HeadWitness, WithoutOneNoRecordAndNoReceiptSaysAnything) {
    const Scratch scratch;
    write_sealed(scratch, 20);

    EXPECT_EQ(read(scratch.ledger()).find("witness"), std::string::npos);
    EXPECT_FALSE(verify(scratch).receipt.witness);
    EXPECT_EQ(wire::to_json(verify(scratch).receipt).find("witness"), std::string::npos);
    EXPECT_THAT(render_receipt(verify(scratch).receipt), ::testing::Not(::testing::HasSubstr("Witness")));
}

TEST(HeadWitness, ALostMissionThatIsCompletedLaterSaysNothingForIt) {
    const Scratch scratch;
    const ManualClock clock;
    NotedHeads witness(scratch, 0);
    {
        const auto ledger = create_with(scratch, clock, witness);
        ledger->append(started());
        ASSERT_TRUE(ledger->flush());
    }

    const auto recovery = recover(scratch.mission(), kMission, {}, scratch.receipts(), scratch.shared_key(), clock);

    ASSERT_TRUE(recovery) << recovery.error().what;
    EXPECT_EQ(verify(scratch).state, LedgerState::Sealed);
    EXPECT_FALSE(verify(scratch).receipt.witness);
}

// A chain with one head before the end, then the end as given; properly signed.
Verification verify_chain_with(const std::optional<WitnessCount>& in_record,
                               const std::optional<WitnessCount>& in_receipt) {
    const Scratch scratch;
    const ManualClock clock;
    std::filesystem::create_directories(scratch.mission());
    Result<ChainFile> chain = ChainFile::create(scratch.mission(), kMission, scratch.shared_key());
    EXPECT_TRUE(chain) << (chain ? "" : chain.error().what);
    chain->add(clock.wall(), StartedLine{started(), scratch.verifying_key().id(), "", 0});
    chain->add_head(clock.wall());
    MissionEnded end = ended();
    end.witness = in_record;
    chain->add(clock.wall(), end);
    chain->add_head(clock.wall());
    EXPECT_TRUE(chain->write());
    EXPECT_TRUE(chain->sync());
    Receipt receipt = chain->receipt().build();
    receipt.head = {chain->records() - 1, chain->head()};
    receipt.witness = in_receipt;
    chain->release_reserve();
    EXPECT_TRUE(publish_receipt(receipt, chain->key(), scratch.mission(), scratch.receipts(), Published::No));
    return verify(scratch);
}

TEST(HeadWitness, TheReceiptMayCountTheLastHeadAndNothingElse) {
    using Count = WitnessCount;
    struct Row {
        std::optional<Count> record, receipt;
        LedgerState state;
    };
    const Row rows[] = {
        {Count{1, 1}, Count{2, 2}, LedgerState::Sealed},         // told of the last one
        {Count{1, 1}, Count{1, 2}, LedgerState::Sealed},         // not told of it
        {Count{1, 1}, Count{1, 1}, LedgerState::Sealed},         // completed by a reaper: nobody knows
        {Count{0, 1}, Count{2, 2}, LedgerState::Sealed},         // a late answer
        {Count{1, 1}, Count{0, 2}, LedgerState::Broken},         // a told head is not untold
        {Count{1, 1}, Count{3, 2}, LedgerState::Broken},         // more than there are
        {Count{1, 1}, Count{2, 3}, LedgerState::Broken},         // heads that nobody signed
        {Count{0, 1}, Count{1, 1}, LedgerState::Broken},         // another count for the same heads
        {std::nullopt, Count{2, 2}, LedgerState::Broken},        // a witness that the record does not know
        {Count{1, 1}, std::nullopt, LedgerState::Broken},
        {Count{1, 2}, Count{1, 2}, LedgerState::Broken},         // the record counts heads that it does not have
        {Count{2, 1}, Count{2, 1}, LedgerState::Broken},
        {Count{0, 0}, Count{0, 0}, LedgerState::Broken},         // or leaves one out
    };
    int number = 0;
    for (const Row& row : rows) {
        EXPECT_EQ(verify_chain_with(row.record, row.receipt).state, row.state) << "row " << number;
        ++number;
    }
}

}  // namespace
}  // namespace sanctum::ledger::test
