// SPDX-License-Identifier: Apache-2.0
// The program as a launcher and an interceptor see it.
#include "base/files.hpp"
#include "tests/unit/vault/vault_process.hpp"
#include "vault/mission_lock.hpp"
#include "vault/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using test::make_need;
using test::VaultProcess;

TEST(VaultProcess, OneMissionRunsFromStartToTheLastLeasesEnd) {
    VaultProcess vault;
    EXPECT_THAT(vault.start_and_wait(), ElementsAre("git", "once"));

    const wire::Packet held = vault.need(make_need(1));
    EXPECT_EQ(held.as<wire::LeaseHeld>()->lease, "l1");
    EXPECT_EQ(held.secret.reveal(), VaultProcess::kStoredValue);
    EXPECT_EQ(vault.from_vault().as<wire::LeaseChanged>()->state, "held");
    ASSERT_TRUE(vault.interceptor.send(wire::LeaseUsed{1, "l1", 200}));
    // A refused need answers after the use was counted: both came on one socket.
    EXPECT_EQ(vault.need([] { auto need = make_need(2); need.service = "x"; return need; }()).kind,
              wire::Kind::LeaseFailed);
    ASSERT_TRUE(vault.launcher.send(wire::Retire{"exit"}));

    const wire::LeaseChanged end = vault.from_vault().as<wire::LeaseChanged>().value();
    EXPECT_EQ(end.state, "gone");
    EXPECT_EQ(end.uses, 1U);
    EXPECT_EQ(vault.from_vault().as<wire::Retired>()->gone, 1U);
    EXPECT_EQ(vault.wait(), 0);
}

TEST(VaultProcess, AUseThatWasToldBeforeTheEndIsCountedWhicheverIsReadFirst) {
    VaultProcess vault;
    vault.start_and_wait();
    ASSERT_EQ(vault.need(make_need(1)).kind, wire::Kind::LeaseHeld);
    EXPECT_EQ(vault.from_vault().as<wire::LeaseChanged>()->state, "held");
    ASSERT_EQ(::kill(vault.pid, SIGSTOP), 0);
    ASSERT_TRUE(vault.interceptor.send(wire::LeaseUsed{1, "l1", 200}));
    ASSERT_TRUE(vault.launcher.send(wire::Retire{"exit"}));
    ASSERT_EQ(::kill(vault.pid, SIGCONT), 0);

    EXPECT_EQ(vault.from_vault().as<wire::LeaseChanged>()->uses, 1U);
}

TEST(VaultProcess, ANeedOutsideTheMissionIsRefusedWhoeverAsks) {
    VaultProcess vault;
    vault.start_and_wait();
    wire::LeaseNeed need = make_need(1);
    need.scopes = {"admin"};

    const wire::Packet answer = vault.need(need);

    EXPECT_EQ(answer.as<wire::LeaseFailed>()->reason, "outside_mission");
    EXPECT_TRUE(answer.secret.is_empty());
    EXPECT_EQ(vault.need(make_need(2)).kind, wire::Kind::LeaseHeld);
}

TEST(VaultProcess, ItLocksItselfUpBeforeItServes) {
    VaultProcess vault;
    vault.start_and_wait();

    EXPECT_EQ(vault.status_line("Seccomp"), "2");
    EXPECT_EQ(vault.status_line("NoNewPrivs"), "1");
    EXPECT_EQ(vault.status_line("CapEff"), "0000000000000000");
    EXPECT_EQ(vault.status_line("CapPrm"), "0000000000000000");
}

TEST(VaultProcess, TheTerminalsSignalsDoNotEndIt) {
    VaultProcess vault;
    vault.start_and_wait();
    for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGQUIT}) ASSERT_EQ(::kill(vault.pid, number), 0);

    EXPECT_EQ(vault.need(make_need(1)).kind, wire::Kind::LeaseHeld);
}

TEST(VaultProcess, WhenTheLauncherIsGoneEverythingIsRetiredAndTheVaultLeaves) {
    VaultProcess vault;
    vault.start_and_wait();
    ASSERT_EQ(vault.need(make_need(1)).kind, wire::Kind::LeaseHeld);

    vault.launcher.close();

    EXPECT_EQ(vault.to_interceptor().as<wire::LeaseGone>()->lease, "l1");
    EXPECT_EQ(vault.wait(), 0);
    ASSERT_EQ(vault.leases().size(), 1U);
    EXPECT_EQ(vault.leases()[0].state, LeaseState::Gone);
    EXPECT_TRUE(lock_file(vault_lock_path(vault.folder / "state", vault.mission.id), Wait::No));
}

TEST(VaultProcess, WhenTheInterceptorIsGoneEverythingIsRetiredAndTheLauncherIsWaitedFor) {
    VaultProcess vault;
    vault.start_and_wait();
    ASSERT_EQ(vault.need(make_need(1)).kind, wire::Kind::LeaseHeld);
    ASSERT_EQ(vault.from_vault().as<wire::LeaseChanged>()->state, "held");

    vault.interceptor.close();

    EXPECT_EQ(vault.from_vault().as<wire::LeaseChanged>()->state, "gone");
    ASSERT_TRUE(vault.launcher.send(wire::Retire{"lost"}));
    EXPECT_EQ(vault.from_vault().as<wire::Retired>()->gone, 1U);
    EXPECT_EQ(vault.wait(), 0);
}

TEST(VaultProcess, AMessageThatTheInterceptorMustNotSendEndsItAfterRetiring) {
    VaultProcess vault;
    vault.start_and_wait();
    ASSERT_EQ(vault.need(make_need(1)).kind, wire::Kind::LeaseHeld);
    ASSERT_EQ(vault.from_vault().as<wire::LeaseChanged>()->state, "held");

    // What a taken-over interceptor would like to say: its own approval.
    ASSERT_TRUE(vault.interceptor.send(wire::Approved{"a1", {}, "git", {"push"}, 1}));

    EXPECT_EQ(vault.from_vault().as<wire::LeaseChanged>()->state, "gone");
    EXPECT_EQ(vault.from_vault().as<wire::Failed>()->reason, "internal");
    EXPECT_EQ(vault.wait(), 1);
}

TEST(VaultProcess, AnElevatedLeaseNeedsTheLaunchersWord) {
    VaultProcess vault;
    vault.start_and_wait();
    wire::LeaseNeed need = make_need(1);
    need.risk = "high";
    need.approval = "a1";
    EXPECT_EQ(vault.need(need).kind, wire::Kind::LeaseFailed);

    const SystemClock clock;
    ASSERT_TRUE(vault.launcher.send(wire::Approved{"a2", {}, "git", {"fetch"}, clock.wall().unix_ms + 60'000}));
    need.approval = "a2";
    // Two sockets have no common order: asked until the launcher's word has arrived.
    wire::Packet answer = vault.need(need);
    while (answer.kind == wire::Kind::LeaseFailed &&
           answer.as<wire::LeaseFailed>()->detail.find("no such approval") != std::string::npos) {
        answer = vault.need(need);
    }
    EXPECT_EQ(answer.as<wire::LeaseHeld>()->uses, 1U);
}

// --- set-up that fails --------------------------------------------------------------------------------------------

wire::Failed failure_of(VaultProcess& vault, int terminal = -1) {
    vault.start(terminal);
    const wire::Failed failed = vault.from_vault().as<wire::Failed>().value();
    EXPECT_EQ(vault.wait(), 1);
    return failed;
}

TEST(VaultSetUp, AMissingItemIsNamedWithTheCommandThatAddsIt) {
    VaultProcess vault;
    vault.config.accounts[0].item = "nope";

    const wire::Failed failed = failure_of(vault);

    EXPECT_EQ(failed.reason, "setup");
    EXPECT_THAT(failed.what, HasSubstr("sanctum vault add nope"));
}

TEST(VaultSetUp, ALockedStoreIsToldApartFromAWrongKey) {
    VaultProcess locked;
    locked.config.unlock = "keyring";
    EXPECT_EQ(failure_of(locked).reason, "store_locked");

    VaultProcess wrong;
    ASSERT_TRUE(create_key_file(wrong.folder / "other.key"));
    wrong.config.unlock = "key-file:" + (wrong.folder / "other.key");
    EXPECT_EQ(failure_of(wrong).reason, "store_passphrase");
}

TEST(VaultSetUp, AMissingStoreSaysHowToMakeOne) {
    VaultProcess vault;
    vault.config.store = vault.folder / "absent.sealed";
    EXPECT_THAT(failure_of(vault).what, HasSubstr("sanctum vault init"));
}

TEST(VaultSetUp, AnAccountThatTheMissionNamesMustBeConfigured) {
    VaultProcess vault;
    vault.config.accounts.clear();
    EXPECT_THAT(failure_of(vault).what, HasSubstr("account team"));
}

TEST(VaultSetUp, AnUnknownSourceIsRefused) {
    VaultProcess vault;
    vault.config.accounts[0].source = "carrier-pigeon";
    EXPECT_THAT(failure_of(vault).what, HasSubstr("carrier-pigeon"));
}

TEST(VaultSetUp, ACommandThatIsNotThereIsNamed) {
    VaultProcess vault;
    vault.config.accounts[0].source = "command";
    vault.config.accounts[0].command = {"/nonexistent/pass", "show"};
    EXPECT_THAT(failure_of(vault).what, HasSubstr("/nonexistent/pass"));
}

TEST(VaultSetUp, AMissionWithoutAccountsNeedsNoStore) {
    VaultProcess vault;
    for (profiles::Service& service : vault.mission.services) service.account.clear();
    vault.config.store = "/nonexistent/store.sealed";

    EXPECT_TRUE(vault.start_and_wait().empty());
}

TEST(VaultSetUp, TheSameMissionCannotBeServedTwice) {
    VaultProcess first;
    first.start_and_wait();
    VaultProcess second;
    second.mission.id = first.mission.id;
    second.state = first.state;
    EXPECT_EQ(failure_of(second).reason, "setup");

    VaultProcess other;
    other.state = first.state;
    EXPECT_THAT(other.start_and_wait(), ElementsAre("git", "once")) << "another mission is free to run";
}

// --- command sources and the terminal -----------------------------------------------------------------------------

TEST(VaultProcess, ACommandSourceServesAfterTheVaultLockedItselfUp) {
    VaultProcess vault;
    vault.config.accounts[0].source = "command";
    vault.config.accounts[0].command = {"/bin/sh", "-c", "echo \"minted-for-$SANCTUM_MISSION\""};
    vault.start_and_wait();

    const wire::Packet held = vault.need(make_need(1));

    EXPECT_EQ(held.secret.reveal(), "minted-for-" + vault.mission.id);
    ASSERT_TRUE(vault.launcher.send(wire::Retire{"exit"}));
    EXPECT_EQ(vault.wait(), 0) << "the helper leaves with it";
}

class VaultAtATerminal : public ::testing::Test {
protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr), 0);
        person_ = UniqueFd(ends[0]);
        terminal_ = UniqueFd(ends[1]);
        ASSERT_EQ(::unlink(vault_.config.store.c_str()), 0);
        NewStoreKeys keys;
        keys.passphrase = LockedBytes(std::string_view("open sesame"));
        keys.cost = {1, 8192};
        ASSERT_TRUE(create_store(vault_.config.store, keys));
        for (profiles::Service& service : vault_.mission.services) service.name += "-unused";
        vault_.config.unlock = "passphrase";
        vault_.start(terminal_.get());
    }
    // Reads what the terminal shows until `text` is there.
    std::string wait_for(const std::string& text) {
        while (shown_.find(text) == std::string::npos) {
            char byte = 0;
            if (::read(person_.get(), &byte, 1) != 1) break;
            shown_.push_back(byte);
        }
        return shown_;
    }
    void type(const std::string& text) { ASSERT_TRUE(write_all(person_.get(), text)); }

    VaultProcess vault_;
    UniqueFd person_;
    UniqueFd terminal_;
    std::string shown_;
};

// The store of this fixture is empty, so a right passphrase ends in the question for the item.
TEST_F(VaultAtATerminal, TheRightPassphraseOpensTheStoreAndIsNotShown) {
    wait_for("Passphrase of ");
    type("open sesameX\x7f\n");

    EXPECT_THAT(vault_.from_vault().as<wire::Failed>()->what, HasSubstr("has no item"));
    EXPECT_EQ(wait_for("\n").find("sesame"), std::string::npos);
    termios after{};
    ASSERT_EQ(::tcgetattr(terminal_.get(), &after), 0);
    EXPECT_NE(after.c_lflag & ECHO, 0U) << "the terminal is put back";
}

TEST_F(VaultAtATerminal, AWrongPassphraseMayBeRepeatedAndThenEndsTheStart) {
    for (int i = 0; i < 3; ++i) {
        wait_for("Passphrase of ");
        shown_.clear();
        type("wrong\n");
    }
    EXPECT_EQ(vault_.from_vault().as<wire::Failed>()->reason, "store_passphrase");
}

TEST_F(VaultAtATerminal, ControlCEndsTheQuestion) {
    wait_for("Passphrase of ");
    type("\x03");
    EXPECT_EQ(vault_.from_vault().as<wire::Failed>()->reason, "store_locked");
}

TEST_F(VaultAtATerminal, ALauncherThatGoesAwayEndsTheQuestion) {
    wait_for("Passphrase of ");
    vault_.launcher.close();
    EXPECT_EQ(vault_.wait(), 1);
}

}  // namespace
}  // namespace sanctum::vault
