// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <gmock/gmock.h>

namespace sanctum::ledger::test {
namespace {

TEST(Ledger, ASealedMissionVerifiesAsSealed) {
    const Scratch scratch;

    write_sealed(scratch, 40);

    const Verification verification = verify(scratch);
    EXPECT_EQ(verification.state, LedgerState::Sealed) << verification.why;
    EXPECT_EQ(verification.receipt.counts.refused.at("resource_outside"), 10U);
    EXPECT_EQ(verification.unknown_outcomes, 0U);
}

}  // namespace
}  // namespace sanctum::ledger::test
