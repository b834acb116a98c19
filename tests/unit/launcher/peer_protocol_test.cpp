// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/peer_protocol.hpp"

#include "base/build_id.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace sanctum::launcher {
namespace {

using testing::HasSubstr;
using wire::Kind;

wire::Packet packet_of(Kind kind) {
    wire::Packet packet;
    packet.kind = kind;
    return packet;
}

PeerProtocol in_state(Role role, PeerState state) {
    PeerProtocol protocol(role);
    const Kind ready = role == Role::Interceptor ? Kind::InterceptorReady : Kind::VaultReady;
    const Kind done = role == Role::Interceptor ? Kind::Stopped : Kind::Retired;
    bool is_fine = true;
    if (state >= PeerState::Greeted) is_fine = protocol.accept(packet_of(Kind::Hello)) && is_fine;
    if (state >= PeerState::Serving) is_fine = protocol.accept(packet_of(ready)) && is_fine;
    if (state >= PeerState::Stopping) protocol.ask_to_stop();
    if (state >= PeerState::Done) is_fine = protocol.accept(packet_of(done)) && is_fine;
    EXPECT_TRUE(is_fine);
    EXPECT_EQ(protocol.state(), state);
    return protocol;
}

constexpr std::array kStates = {PeerState::Silent, PeerState::Greeted, PeerState::Serving, PeerState::Stopping,
                                PeerState::Done};

// Every message in every state, against a second writing of the rules.
void expect_exactly(Role role, const std::map<PeerState, std::set<Kind>>& permitted) {
    for (const PeerState state : kStates) {
        const auto last = static_cast<std::uint16_t>(Kind::EndChild);
        for (auto number = static_cast<std::uint16_t>(Kind::Hello); number <= last; ++number) {
            const Kind kind = static_cast<Kind>(number);
            if (kind == Kind::Failed) continue;  // a sentence of its sender's, in every state
            const auto here = permitted.find(state);
            const bool expected = here != permitted.end() && here->second.contains(kind);
            PeerProtocol protocol = in_state(role, state);
            EXPECT_EQ(protocol.accept(packet_of(kind)).has_value(), expected)
                << name_of(role) << " " << wire::name_of(kind) << " " << name_of(state);
        }
    }
}

TEST(PeerProtocol, TheInterceptorMaySayExactlyThis) {
    const std::set<Kind> serving = {Kind::ConnectionOpened, Kind::ConnectionRefused, Kind::ExchangeIntent,
                                    Kind::ExchangeRefused,  Kind::ExchangeOutcome,   Kind::Ask,
                                    Kind::Withdraw,         Kind::BudgetShared};
    std::set<Kind> stopping = serving;
    stopping.insert(Kind::Stopped);
    expect_exactly(Role::Interceptor, {{PeerState::Silent, {Kind::Hello}},
                                       {PeerState::Greeted, {Kind::InterceptorReady}},
                                       {PeerState::Serving, serving},
                                       {PeerState::Stopping, stopping}});
}

TEST(PeerProtocol, TheVaultMaySayExactlyThis) {
    expect_exactly(Role::Vault, {{PeerState::Silent, {Kind::Hello}},
                                 {PeerState::Greeted, {Kind::LeaseChanged, Kind::VaultReady}},
                                 {PeerState::Serving, {Kind::LeaseChanged}},
                                 {PeerState::Stopping, {Kind::LeaseChanged, Kind::Retired}}});
}

TEST(PeerProtocol, FailedGivesTheSendersOwnSentenceInEveryState) {
    for (const PeerState state : kStates) {
        PeerProtocol protocol = in_state(Role::Interceptor, state);
        wire::Packet packet = packet_of(Kind::Failed);
        packet.body = R"({"type":"failed","what":"no room for another thread","reason":"setup"})";

        const Status status = protocol.accept(packet);

        ASSERT_FALSE(status);
        EXPECT_THAT(status.error().what, HasSubstr("no room for another thread"));
    }
}

TEST(PeerProtocol, ALockedStoreNamesTheCommandThatUnlocksIt) {
    PeerProtocol protocol = in_state(Role::Vault, PeerState::Greeted);
    wire::Packet packet = packet_of(Kind::Failed);
    packet.body = R"({"type":"failed","what":"the store is locked","reason":"store_locked"})";

    const Status status = protocol.accept(packet);

    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::Denied);
    EXPECT_THAT(status.error().what, HasSubstr("sanctum vault unlock"));
}

TEST(PeerProtocol, SecretBytesForTheLauncherAreRefused) {
    PeerProtocol protocol = in_state(Role::Vault, PeerState::Serving);
    wire::Packet packet = packet_of(Kind::LeaseChanged);
    packet.secret = Secret("a token that lost its way");

    EXPECT_FALSE(protocol.accept(packet));
}

TEST(PeerProtocol, DescriptorsForTheLauncherAreRefused) {
    PeerProtocol protocol = in_state(Role::Interceptor, PeerState::Serving);
    wire::Packet packet = packet_of(Kind::ConnectionOpened);
    packet.descriptors.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));

    EXPECT_FALSE(protocol.accept(packet));
}

TEST(Hello, OfThisBuildAndTheRightRoleIsWelcome) {
    EXPECT_TRUE(check_hello({build_id(), "vault", 7}, Role::Vault));
}

TEST(Hello, OfAnotherBuildSaysWhatToDo) {
    const Status status = check_hello({"0.0.9-other", "vault", 7}, Role::Vault);

    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().what, HasSubstr("install the programs together"));
}

TEST(Hello, OfTheOtherRoleIsRefused) { EXPECT_FALSE(check_hello({build_id(), "interceptor", 7}, Role::Vault)); }

}  // namespace
}  // namespace sanctum::launcher
