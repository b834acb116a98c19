// SPDX-License-Identifier: Apache-2.0
#include "launcher/watch/watch.hpp"

#include "launcher/watch/process_facts.hpp"

#include <arpa/inet.h>
#include <cstring>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

std::string bytes_v4(const char* address, std::uint16_t port) {
    sockaddr_in socket_address{};
    socket_address.sin_family = AF_INET;
    socket_address.sin_port = htons(port);
    EXPECT_EQ(::inet_pton(AF_INET, address, &socket_address.sin_addr), 1);
    return {reinterpret_cast<const char*>(&socket_address), sizeof socket_address};
}

std::string bytes_v6(const char* address, std::uint16_t port) {
    sockaddr_in6 socket_address{};
    socket_address.sin6_family = AF_INET6;
    socket_address.sin6_port = htons(port);
    EXPECT_EQ(::inet_pton(AF_INET6, address, &socket_address.sin6_addr), 1);
    return {reinterpret_cast<const char*>(&socket_address), sizeof socket_address};
}

TEST(ParseAddress, ReadsBothFamilies) {
    const auto v4 = parse_address(bytes_v4("192.0.2.1", 444));
    ASSERT_TRUE(v4);
    EXPECT_EQ(v4->address, "192.0.2.1");
    EXPECT_EQ(v4->port, 444);
    EXPECT_FALSE(v4->is_loopback);
    const auto v6 = parse_address(bytes_v6("2001:db8::7", 443));
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->address, "[2001:db8::7]");
}

TEST(ParseAddress, ShowsMappedAddressesAsTheV4OnesTheyAre) {
    const auto mapped = parse_address(bytes_v6("::ffff:192.0.2.9", 22));
    ASSERT_TRUE(mapped);
    EXPECT_EQ(mapped->address, "192.0.2.9");
    EXPECT_TRUE(parse_address(bytes_v6("::ffff:127.0.0.1", 22))->is_loopback);
}

TEST(ParseAddress, KnowsEveryWayToTheOwnMachine) {
    for (const char* address : {"127.0.0.1", "127.255.255.254", "0.0.0.0"}) {
        EXPECT_TRUE(parse_address(bytes_v4(address, 80))->is_loopback) << address;
    }
    EXPECT_TRUE(parse_address(bytes_v6("::1", 80))->is_loopback);
    EXPECT_TRUE(parse_address(bytes_v6("::", 80))->is_loopback);
    EXPECT_FALSE(parse_address(bytes_v4("128.0.0.1", 80))->is_loopback);
}

TEST(ParseAddress, TakesNothingFromShortOrForeignBytes) {
    EXPECT_FALSE(parse_address(""));
    EXPECT_FALSE(parse_address("x"));
    EXPECT_FALSE(parse_address(bytes_v4("192.0.2.1", 444).substr(0, 8)));
    EXPECT_FALSE(parse_address(bytes_v6("2001:db8::7", 443).substr(0, 23)));
    std::string local(sizeof(sockaddr_in), '\0');
    const sa_family_t family = AF_UNIX;
    std::memcpy(local.data(), &family, sizeof family);
    EXPECT_FALSE(parse_address(local));
}

TEST(RefusalOf, AnAttemptAtAPortWithoutAListenerIsNamed) {
    EXPECT_EQ(refusal_of({false, "192.0.2.1", 444, false}, {80, 443}), "no_listener");
    EXPECT_EQ(refusal_of({false, "192.0.2.1", 443, false}, {80, 443}), "");
}

TEST(RefusalOf, UdpIsNamedExceptDns) {
    EXPECT_EQ(refusal_of({true, "192.0.2.1", 443, false}, {80, 443}), "udp");
    EXPECT_EQ(refusal_of({true, "192.0.2.1", 53, false}, {80, 443}), "");
    EXPECT_EQ(refusal_of({false, "192.0.2.1", 53, false}, {80, 443}), "");
}

TEST(RefusalOf, TheAgentsOwnServersAreItsOwnBusiness) {
    EXPECT_EQ(refusal_of({false, "127.0.0.1", 3000, true}, {80, 443}), "");
    EXPECT_EQ(refusal_of({true, "[::1]", 9999, true}, {80, 443}), "");
}

TEST(RefusalOf, WhatCouldNotBeReadIsNotInvented) { EXPECT_EQ(refusal_of({false, "", 0, false}, {443}), ""); }

TEST(Claims, AreGivenOutOnce) {
    Claims claims(4);
    claims.remember(7, {12, "/usr/bin/curl", {"sh"}});

    const auto first = claims.take(7);

    ASSERT_TRUE(first);
    EXPECT_EQ(first->exe, "/usr/bin/curl");
    EXPECT_FALSE(claims.take(7));
}

TEST(Claims, AStormForgetsTheOldestAndStaysBounded) {
    Claims claims(4);
    for (std::uint64_t cookie = 1; cookie <= 1000; ++cookie) claims.remember(cookie, {1, "/bin/x", {}});

    EXPECT_EQ(claims.size(), 4U);
    EXPECT_FALSE(claims.take(996));
    EXPECT_TRUE(claims.take(997));
    EXPECT_TRUE(claims.take(1000));
}

TEST(Claims, ASocketThatConnectsAgainKeepsTheLastClaim) {
    Claims claims(4);
    claims.remember(7, {12, "/bin/first", {}});
    claims.remember(7, {13, "/bin/second", {}});

    EXPECT_EQ(claims.size(), 1U);
    EXPECT_EQ(claims.take(7)->exe, "/bin/second");
}

TEST(Claims, WithoutACookieThereIsNone) {
    Claims claims(4);
    claims.remember(0, {12, "/bin/x", {}});

    EXPECT_EQ(claims.size(), 0U);
}

TEST(ParseStatus, TakesTheInnermostPid) {
    const auto facts =
        parse_status("Name:\tgit-remote-http\nUmask:\t0022\nTgid:\t4242\nPPid:\t4200\nNSpid:\t4242\t12\n");

    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->name, "git-remote-http");
    EXPECT_EQ(facts->thread_group, 4242);
    EXPECT_EQ(facts->parent, 4200);
    EXPECT_EQ(facts->pid_inside, 12U);
}

// A process may call itself anything; the kernel escapes the line end, so no name can add members of its own.
TEST(ParseStatus, ANameThatLooksLikeAMemberStaysAName) {
    const auto facts = parse_status("Name:\tx\\nTgid:\t1\nTgid:\t50\nPPid:\t2\nNSpid:\t50\t3\n");

    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->thread_group, 50);
}

TEST(ParseStatus, AMissingMemberIsNoProcess) {
    EXPECT_FALSE(parse_status(""));
    EXPECT_FALSE(parse_status("Name:\tx\nTgid:\t1\nPPid:\t2\n"));
    EXPECT_FALSE(parse_status("Name:\tx\nTgid:\t-1\nPPid:\t2\nNSpid:\t1\n"));
}

TEST(ReadStatus, KnowsThisProcessAndNoDeadOne) {
    const auto own = read_status(::getpid());
    ASSERT_TRUE(own);
    EXPECT_EQ(own->thread_group, ::getpid());
    EXPECT_FALSE(read_status(0x7ffffff0));
}

TEST(DescribeProcess, StopsAtInit) {
    const auto own = read_status(::getpid());
    ASSERT_TRUE(own);

    const ledger::ClaimedProcess process = describe_process(*own, own->parent);

    EXPECT_FALSE(process.exe.empty());
    EXPECT_TRUE(process.chain.empty());
}

}  // namespace
}  // namespace sanctum::launcher
