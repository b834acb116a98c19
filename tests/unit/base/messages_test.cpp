// SPDX-License-Identifier: Apache-2.0
// Every message survives its way, and nothing else is taken for one.
#include "base/wire/channel.hpp"

#include "base/limits.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace sanctum::wire {
namespace {

std::string datagram_of(const std::string& head, const std::string& secret = {}) {
    std::string out;
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((head.size() >> (8 * i)) & 0xffU));
    return out + head + secret;
}

Result<Packet> only_message(const std::string& datagram) {
    Result<std::vector<Packet>> packets = parse_datagram(datagram);
    if (!packets) return std::move(packets).error();
    if (packets->size() != 1) return Error{Errc::Protocol, "more than one message"};
    return std::move(packets->front());
}

template <class Message>
class EveryMessage : public ::testing::Test {};

using Messages = ::testing::Types<Hello, StartInterceptor, StartVault, InterceptorReady, VaultReady, Failed,
                                  ConnectionOpened, ConnectionRefused, ExchangeIntent, Recorded, ExchangeRefused,
                                  ExchangeOutcome, Ask, Answer, Withdraw, Approved, LeaseNeed, LeaseHeld, LeaseFailed,
                                  LeaseUsed, LeaseGone, LeaseChanged, Dial, Dialled, Stop, Stopped, Retire, Retired,
                                  RevokeService, ShareBudget, BudgetShared, ChildOffered, ChildAdmitted, ChildRefused,
                                  ChildEnded, EndChild, LoginNeed, LoginAnswered>;
TYPED_TEST_SUITE(EveryMessage, Messages);

TYPED_TEST(EveryMessage, ComesBackAsItWasSent) {
    const TypeParam message{};
    const Packet packet = only_message(datagram_of(encode(message), "secret")).value();
    EXPECT_EQ(packet.kind, TypeParam::kind);
    EXPECT_EQ(packet.secret.reveal(), "secret");
    EXPECT_EQ(encode(packet.as<TypeParam>().value()), encode(message));
}

TYPED_TEST(EveryMessage, IsNotTakenForAnother) {
    const Packet packet = only_message(datagram_of(encode(TypeParam{}))).value();
    if constexpr (TypeParam::kind != Kind::Retire) {
        const Result<Retire> other = packet.as<Retire>();
        ASSERT_FALSE(other);
        EXPECT_EQ(other.error().code, Errc::Protocol);
    } else {
        EXPECT_FALSE(packet.as<Retired>());
    }
}

TYPED_TEST(EveryMessage, ShortenedAnywhereIsRefused) {
    const std::string head = encode(TypeParam{});
    for (std::size_t size = 0; size < head.size(); ++size) {
        const Result<Packet> packet = only_message(datagram_of(head.substr(0, size)));
        EXPECT_FALSE(packet && packet->template as<TypeParam>()) << "cut at " << size;
    }
}

TEST(Messages, EveryKindHasItsOwnName) {
    std::set<std::string> names;
    const auto last = static_cast<std::uint16_t>(Kind::LoginAnswered);
    for (auto kind = static_cast<std::uint16_t>(Kind::Hello); kind <= last; ++kind) {
        EXPECT_TRUE(names.insert(name_of(static_cast<Kind>(kind))).second);
    }
    EXPECT_STREQ(name_of(static_cast<Kind>(0)), "unknown");
    EXPECT_STREQ(name_of(static_cast<Kind>(9999)), "unknown");
}

TEST(Messages, FieldsKeepTheirValues) {
    LeaseNeed need;
    need.exchange = 7;
    need.scopes = {"fetch", "push"};
    need.resources = {{"repo", {"team/app.git"}}};
    const LeaseNeed read = only_message(datagram_of(encode(need)))->as<LeaseNeed>().value();
    EXPECT_EQ(read.exchange, 7U);
    EXPECT_EQ(read.scopes, need.scopes);
    EXPECT_EQ(read.resources, need.resources);

    LeaseChanged changed;
    EXPECT_EQ(only_message(datagram_of(encode(changed)))->as<LeaseChanged>()->received, std::nullopt);
    changed.received = std::vector<std::string>{};
    EXPECT_TRUE(only_message(datagram_of(encode(changed)))->as<LeaseChanged>()->received.has_value());
}

TEST(Datagram, WhatHasNoHeadIsRefused) {
    const auto bytes = [](std::initializer_list<int> values) {
        std::string out;
        for (const int value : values) out.push_back(static_cast<char>(value));
        return out;
    };
    const std::vector<std::string> bad = {
        "",
        bytes({0, 0, 0}),
        bytes({0, 0, 0, 0}),                 // an empty head
        bytes({1, 0, 0, 0, 1}),              // half a kind
        bytes({2, 0, 0, 0, 1}),              // longer than the datagram
        bytes({255, 255, 255, 255, 1, 0}),   // far longer
        bytes({2, 0, 0, 0, 0, 0}),           // kind 0
        bytes({2, 0, 0, 0, 200, 0}),         // no such kind
        bytes({2, 0, 0, 0, 255, 255}),
        datagram_of("{"),
        datagram_of("{}"),
        datagram_of(R"({"type":)"),
        datagram_of(R"({"type":"hello)"),
        datagram_of(R"({"type":"no.such.message"})"),
        datagram_of(R"({"type":""})"),
        datagram_of(R"({"build":"x","type":"hello"})"),  // the type comes first, always
        datagram_of(R"( {"type":"hello"})"),
    };
    for (const std::string& datagram : bad) EXPECT_FALSE(parse_datagram(datagram)) << to_hex(datagram);
    EXPECT_TRUE(parse_datagram(datagram_of(R"({"type":"hello"})")));
}

TEST(Datagram, MessagesBehindOneAnotherAreReadInTheirOrder) {
    std::string first = datagram_of(encode(Withdraw{1}));
    first[3] = static_cast<char>(0x80);  // another follows
    const auto packets = parse_datagram(first + datagram_of(encode(LeaseGone{"l2"}), "secret"));
    ASSERT_TRUE(packets);
    ASSERT_EQ(packets->size(), 2U);
    EXPECT_EQ(packets->front().as<Withdraw>()->exchange, 1U);
    EXPECT_TRUE(packets->front().secret.is_empty());
    EXPECT_EQ(packets->back().as<LeaseGone>()->lease, "l2");
    EXPECT_EQ(packets->back().secret.reveal(), "secret");
    EXPECT_FALSE(parse_datagram(first)) << "the one that follows is missing";
    EXPECT_FALSE(parse_datagram(first + datagram_of("{}"))) << "one that cannot be read takes all with it";
}

TEST(Datagram, MoreMessagesThanAllowedAreRefused) {
    std::string one = datagram_of(encode(Withdraw{1}));
    std::string more = one;
    more[3] = static_cast<char>(0x80);
    std::string many;
    for (std::size_t i = 0; i + 1 < kWireJoinedMessagesMax; ++i) many += more;
    EXPECT_TRUE(parse_datagram(many + one));
    EXPECT_FALSE(parse_datagram(many + more + one));
}

TEST(Datagram, AHeadWithMembersTwiceIsRefused) {
    const Result<Packet> packet =
        only_message(datagram_of(R"({"type":"retire","reason":"exit","reason":"revoked"})"));
    EXPECT_FALSE(packet && packet->as<Retire>());
}

// Not a fuzzer, but every build runs it: random bytes, and good datagrams with random damage.
TEST(Datagram, RandomDamageIsRefusedOrReadWithoutHarm) {
    std::mt19937 random(20261122);  // NOLINT: the same every time
    const std::vector<std::string> good = {datagram_of(encode(LeaseNeed{}), "secret"), datagram_of(encode(Hello{})),
                                           datagram_of(encode(ExchangeIntent{})), datagram_of(encode(LeaseChanged{}))};
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = good[random() % good.size()];
        if (round % 4 == 0) {
            bytes.resize(random() % 64);
            for (char& byte : bytes) byte = static_cast<char>(random());
        }
        for (unsigned damage = random() % 4; damage > 0 && !bytes.empty(); --damage) {
            bytes[random() % bytes.size()] = static_cast<char>(random());
        }
        const Result<Packet> packet = only_message(bytes);
        if (!packet) continue;
        static_cast<void>(packet->as<LeaseNeed>());
        static_cast<void>(packet->as<Hello>());
        static_cast<void>(packet->as<ExchangeIntent>());
        static_cast<void>(packet->as<LeaseChanged>());
    }
}

}  // namespace
}  // namespace sanctum::wire
