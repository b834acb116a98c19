// SPDX-License-Identifier: Apache-2.0
// SIGKILL at every point that can be seen from outside: nothing that was handed out is ever forgotten.
#include "tests/unit/vault/vault_process.hpp"
#include "vault/reaper.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <set>

namespace sanctum::vault {
namespace {

using test::give_nothing_back;
using test::make_need;
using test::VaultProcess;

constexpr std::uint64_t kNeeds = 6;

std::map<std::string, int> ends_after_reaping(const VaultProcess& vault) {
    const SystemClock clock;
    std::map<std::string, int> ends;
    const std::string state = vault.folder / "state";
    const Result<ReapReport> report = reap(state, "", clock, give_nothing_back, [&](const LeaseRow& row) {
        EXPECT_TRUE(is_end(row.state));
        ++ends[row.lease];
    });
    EXPECT_TRUE(report);
    return ends;
}

class KilledVault : public ::testing::TestWithParam<std::uint64_t> {};

// The parameter: how many answers were seen before the kill.
TEST_P(KilledVault, EveryLeaseThatWasHandedOutGetsExactlyOneEnd) {
    VaultProcess vault;
    vault.start_and_wait();
    std::set<std::string> handed_out;
    for (std::uint64_t exchange = 1; exchange <= kNeeds; ++exchange) {
        wire::LeaseNeed need = make_need(exchange);
        need.service = "once";
        ASSERT_TRUE(vault.interceptor.send(need));
    }
    for (std::uint64_t i = 0; i < GetParam(); ++i) {
        handed_out.insert(vault.to_interceptor().as<wire::LeaseHeld>()->lease);
    }
    vault.kill_now();
    // What was on its way when it died was handed out as well.
    for (;;) {
        Result<std::optional<wire::Packet>> packet = vault.interceptor.receive();
        if (!packet || !*packet) break;
        handed_out.insert((*packet)->as<wire::LeaseHeld>()->lease);
    }

    const std::map<std::string, int> ends = ends_after_reaping(vault);

    for (const std::string& lease : handed_out) {
        ASSERT_TRUE(ends.contains(lease)) << lease << " was handed out and forgotten";
        EXPECT_EQ(ends.at(lease), 1);
    }
    for (const LeaseRow& row : vault.leases()) {
        EXPECT_TRUE(is_end(row.state) || row.state == LeaseState::Failed) << row.lease;
    }
}

INSTANTIATE_TEST_SUITE_P(AfterSoManyAnswers, KilledVault, ::testing::Range<std::uint64_t>(0, kNeeds + 1));

TEST(KilledWhileACommandRuns, TheMintWithoutAnAnswerIsAnOrphanAndItsProgramIsGone) {
    VaultProcess vault;
    vault.config.accounts[0].source = "command";
    vault.config.accounts[0].command = {"/bin/sleep", "3600"};
    vault.start_and_wait();
    ASSERT_TRUE(vault.interceptor.send(make_need(1)));
    // The intent is durable before the program starts: once it is there, the kill is as late as it can be.
    while (vault.leases().empty()) {}

    vault.kill_now();

    const std::map<std::string, int> ends = ends_after_reaping(vault);
    ASSERT_EQ(ends.size(), 1U);
    EXPECT_EQ(vault.leases()[0].state, LeaseState::Orphaned);
    EXPECT_EQ(vault.leases()[0].alive_until_unix_ms, 0) << "no end is guessed: the program never said how long";
}

}  // namespace
}  // namespace sanctum::vault
