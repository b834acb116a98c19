// SPDX-License-Identifier: Apache-2.0
// The beginning of the conversation with interceptor and vault, with every way it can go wrong. The other side is the
// other end of the channel, played by the test.
#include "launcher/run/peers.hpp"

#include "base/build_id.hpp"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class PeersTest : public testing::Test {
protected:
    PeersTest() {
        auto blocked = Signals::block();
        EXPECT_TRUE(blocked);
        signals.emplace(std::move(*blocked));
        auto ends = wire::make_channel_pair();
        EXPECT_TRUE(ends);
        peer.process.role = "vault";
        peer.process.is_reaped = true;
        peer.process.channel = wire::Channel(std::move(ends->first));
        other = wire::Channel(std::move(ends->second));
    }
    std::optional<Signals> signals;
    Peer peer{{}, PeerProtocol(Role::Vault)};
    wire::Channel other;
};

TEST_F(PeersTest, AHelloOfThisBuildIsMet) {
    ASSERT_TRUE(other.send(wire::Hello{build_id(), "vault", 5}));

    EXPECT_TRUE(meet(peer, *signals));
    EXPECT_EQ(peer.protocol.state(), PeerState::Greeted);
}

TEST_F(PeersTest, AnotherFirstWordIsRefused) {
    ASSERT_TRUE(other.send(wire::VaultReady{}));

    const Status met = meet(peer, *signals);

    ASSERT_FALSE(met);
    EXPECT_THAT(met.error().what, HasSubstr("unexpected message ready.vault before its hello"));
}

TEST_F(PeersTest, APeerThatDiesIsNamedWithWhereItStood) {
    ASSERT_TRUE(other.send(wire::Hello{build_id(), "vault", 5}));
    ASSERT_TRUE(meet(peer, *signals));
    other.close();

    const auto packet = await_packet(peer, seconds(10), *signals);

    ASSERT_FALSE(packet);
    EXPECT_THAT(packet.error().what, HasSubstr("vault: it ended before it was ready"));
}

TEST_F(PeersTest, SilenceIsATimeout) {
    const auto packet = await_packet(peer, milliseconds(1), *signals);

    ASSERT_FALSE(packet);
    EXPECT_EQ(packet.error().code, Errc::Timeout);
}

TEST_F(PeersTest, WhatAPeerSaysBeforeItFailsIsWhatTheUserReads) {
    ASSERT_TRUE(other.send(wire::Hello{build_id(), "vault", 5}));
    ASSERT_TRUE(other.send(wire::Failed{"store.sealed is locked", "store_locked"}));
    other.close();
    ASSERT_TRUE(meet(peer, *signals));

    const auto packet = await_packet(peer, seconds(10), *signals);

    ASSERT_FALSE(packet);
    EXPECT_THAT(packet.error().what, HasSubstr("store.sealed is locked (run: sanctum vault unlock)"));
}

TEST_F(PeersTest, AStopSignalEndsTheWaitAndOthersDoNot) {
    ASSERT_EQ(::kill(::getpid(), SIGWINCH), 0);
    ASSERT_EQ(::kill(::getpid(), SIGINT), 0);

    const auto packet = await_packet(peer, seconds(10), *signals);

    ASSERT_FALSE(packet);
    EXPECT_EQ(packet.error().code, Errc::Cancelled);
    EXPECT_EQ(packet.error().sys_errno, SIGINT);
}

TEST(MayNeedPassphrase, OnlyWhereAPersonMustUnlock) {
    PreparedMission prepared;
    EXPECT_FALSE(may_need_passphrase(prepared));  // no service, no store

    prepared.mission.services.emplace_back();
    EXPECT_TRUE(may_need_passphrase(prepared));
    for (const char* headless : {"key-file:/etc/sanctum/store.key", "credential:store"}) {
        prepared.config.unlock = headless;
        EXPECT_FALSE(may_need_passphrase(prepared)) << headless;
    }
    prepared.config.unlock = "passphrase";
    EXPECT_TRUE(may_need_passphrase(prepared));
}

// The vault's start names its descriptors in their order.
TEST_F(PeersTest, StartGivesTheVaultItsValuesAndTheWayToTheInterceptor) {
    PreparedMission prepared;
    prepared.mission.id = "01k0000000000000000000000m";
    prepared.places.state = "/state";
    auto between = wire::make_channel_pair();
    ASSERT_TRUE(between);

    ASSERT_TRUE(send_start_vault(peer, prepared, {1, 2, 3}, between->first.get(), -1, -1));

    const auto packet = other.receive_within(seconds(10));
    ASSERT_TRUE(packet);
    const auto start = packet->as<wire::StartVault>();
    ASSERT_TRUE(start);
    EXPECT_EQ(start->mission, prepared.mission.id);
    EXPECT_EQ(start->ends_unix_ms, 2);
    EXPECT_EQ(start->ends_boot_ms, 3);
    EXPECT_THAT(start->descriptors, testing::ElementsAre("mission", "accounts", "interceptor"));
    EXPECT_EQ(packet->descriptors.size(), 3U);
    EXPECT_TRUE(packet->secret.is_empty());
}

TEST_F(PeersTest, StartGivesTheInterceptorTheSandboxesSocketsByRole) {
    PreparedMission prepared;
    prepared.mission.id = "01k0000000000000000000000m";
    std::vector<NamespaceSocket> sockets;
    sockets.push_back({"listen:443", UniqueFd(::dup(0))});
    sockets.push_back({"sock-diag", UniqueFd(::dup(0))});
    auto between = wire::make_channel_pair();
    ASSERT_TRUE(between);

    ASSERT_TRUE(send_start_interceptor(peer, prepared, {1, 2, 3}, "aa", sockets, between->second.get()));

    const auto packet = other.receive_within(seconds(10));
    ASSERT_TRUE(packet);
    const auto start = packet->as<wire::StartInterceptor>();
    ASSERT_TRUE(start);
    EXPECT_THAT(start->descriptors, testing::ElementsAre("mission", "upstream", "listen:443", "sock-diag", "vault"));
    EXPECT_EQ(packet->descriptors.size(), 5U);
}

}  // namespace
}  // namespace sanctum::launcher
