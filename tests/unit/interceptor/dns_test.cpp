// SPDX-License-Identifier: Apache-2.0
// What the sandbox's name server answers, byte for byte, and what it drops.
#include "interceptor/dns/address_pool.hpp"
#include "interceptor/dns/answer.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sanctum::interceptor {
namespace {

std::string number16(unsigned value) {
    return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
}

std::string name(std::string_view text) {
    std::string bytes;
    while (!text.empty()) {
        const std::string_view label = text.substr(0, text.find('.'));
        bytes += static_cast<char>(label.size());
        bytes += label;
        text.remove_prefix(std::min(text.size(), label.size() + 1));
    }
    return bytes + '\0';
}

constexpr unsigned kA = 1, kNs = 2, kPtr = 12, kMx = 15, kTxt = 16, kAaaa = 28, kSrv = 33, kSvcb = 64, kHttps = 65,
                   kAny = 255;

std::string query(std::string_view of, unsigned type, unsigned of_class = 1, const std::string& additional = "") {
    return number16(0xbeef) + number16(0x0100) + number16(1) + number16(0) + number16(0) +
           number16(additional.empty() ? 0 : 1) + name(of) + number16(type) + number16(of_class) + additional;
}

std::string opt(unsigned version) {
    const std::string extended = {'\0', static_cast<char>(version), '\0', '\0'};
    return std::string(1, '\0') + number16(41) + number16(4096) + extended + number16(0);
}

unsigned at16(const std::string& message, std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(message[at])) << 8U |
           static_cast<unsigned char>(message[at + 1]);
}

unsigned rcode(const std::string& message) { return at16(message, 2) & 0xfU; }
unsigned answers(const std::string& message) { return at16(message, 6); }
unsigned authorities(const std::string& message) { return at16(message, 8); }

TEST(Dns, AHostGetsAnAddressOfThePoolAndKeepsIt) {
    AddressPool pool;

    const auto first = answer_dns(query("Api.Example.Test", kA), pool);
    const auto second = answer_dns(query("api.example.test", kA), pool);

    ASSERT_TRUE(first && second);
    EXPECT_EQ(at16(*first, 0), 0xbeefU);
    EXPECT_EQ(at16(*first, 2), 0x8580U);  // answer, authoritative, recursion desired and available
    EXPECT_EQ(answers(*first), 1U);
    EXPECT_EQ(first->substr(first->size() - 4), std::string("\xc6\x12\x00\x04", 4));
    EXPECT_EQ(second->substr(second->size() - 4), first->substr(first->size() - 4));
    EXPECT_EQ(pool.name_of(AddressPool::kFirst), "api.example.test");
    // The question comes back as it was asked: clients compare it, some with its letters mixed on purpose.
    EXPECT_NE(first->find(std::string("\x07" "Example")), std::string::npos);
}

TEST(Dns, OtherTypesOfAHostAreAnsweredAtOnceWithNothing) {
    AddressPool pool;
    for (const unsigned type : {kAaaa, kHttps, kSvcb, kMx, kTxt, kSrv, kNs, 99U, 65535U}) {
        const auto answer = answer_dns(query("api.example.test", type), pool);
        ASSERT_TRUE(answer) << type;
        EXPECT_EQ(rcode(*answer), 0U) << type;
        EXPECT_EQ(answers(*answer), 0U) << type;
        EXPECT_EQ(authorities(*answer), 1U) << type;  // SOA
    }
}

TEST(Dns, LocalhostIsTheSandboxsOwn) {
    AddressPool pool;
    for (const char* host : {"localhost", "LOCALHOST", "app.localhost"}) {
        const auto four = answer_dns(query(host, kA), pool);
        const auto six = answer_dns(query(host, kAaaa), pool);
        ASSERT_TRUE(four && six);
        EXPECT_EQ(four->substr(four->size() - 4), std::string("\x7f\x00\x00\x01", 4));
        EXPECT_EQ(six->substr(six->size() - 16), std::string(15, '\0') + '\x01');
    }
}

TEST(Dns, NamesThatNoHostHasDoNotExist) {
    AddressPool pool;
    for (const char* host : {"wpad", "printer", "host.invalid", "1.2.3.4", "127.1", "a.0x7f", "-a.test", "b-.test",
                             "a b.test", "x.arpa", "1.0.0.127.in-addr.arpa", "b.a.9.8.ip6.arpa"}) {
        const auto answer = answer_dns(query(host, kA), pool);
        ASSERT_TRUE(answer) << host;
        EXPECT_EQ(rcode(*answer), 3U) << host;
        EXPECT_EQ(answers(*answer), 0U) << host;
    }
    EXPECT_EQ(pool.name_of(AddressPool::kFirst), std::nullopt);
}

TEST(Dns, AnyNamesTheAddress) {
    AddressPool pool;
    const auto answer = answer_dns(query("api.example.test", kAny), pool);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answers(*answer), 1U);
}

TEST(Dns, PtrNamesAPoolAddressAndNothingElse) {
    AddressPool pool;
    static_cast<void>(pool.address_of("api.example.test"));

    const auto known = answer_dns(query("4.0.18.198.in-addr.arpa", kPtr), pool);
    const auto unknown = answer_dns(query("5.0.18.198.in-addr.arpa", kPtr), pool);
    const auto odd = answer_dns(query("4.0.18.198.0.in-addr.arpa", kPtr), pool);

    ASSERT_TRUE(known && unknown && odd);
    EXPECT_TRUE(known->ends_with(name("api.example.test")));
    EXPECT_EQ(rcode(*unknown), 3U);
    EXPECT_EQ(rcode(*odd), 3U);
}

TEST(Dns, EdnsIsEchoedAndUnknownVersionsAreRefused) {
    AddressPool pool;
    const auto plain = answer_dns(query("api.example.test", kA), pool);
    const auto version0 = answer_dns(query("api.example.test", kA, 1, opt(0)), pool);
    const auto version1 = answer_dns(query("api.example.test", kA, 1, opt(1)), pool);
    const auto twice = answer_dns(query("api.example.test", kA, 1, opt(0)).replace(11, 1, "\x02") + opt(0), pool);

    ASSERT_TRUE(plain && version0 && version1 && twice);
    EXPECT_EQ(at16(*plain, 10), 0U);
    EXPECT_EQ(at16(*version0, 10), 1U);
    EXPECT_EQ(answers(*version0), 1U);
    EXPECT_EQ(answers(*version1), 0U);
    EXPECT_EQ(static_cast<unsigned char>((*version1)[version1->size() - 6]), 1U);  // upper bits of BADVERS (16)
    EXPECT_EQ(rcode(*twice), 1U);
}

TEST(Dns, WhatIsNoPlainQuestionGetsItsErrorCode) {
    AddressPool pool;
    const auto with = [](std::size_t at, char byte) {
        std::string message = query("api.example.test", kA);
        message[at] = byte;
        return message;
    };
    struct Row {
        const char* what;
        std::string message;
        unsigned expected;
    };
    const Row rows[] = {
        {"inverse query", with(2, 0x08), 4},
        {"update", with(2, 0x28), 4},
        {"truncated query", with(2, 0x02), 1},
        {"no question", with(5, 0), 1},
        {"two questions", with(5, 2), 1},
        {"an answer that is not there", with(7, 1), 1},
        {"chaos class", query("version.bind", kTxt, 3), 5},
        {"compressed question", number16(1) + number16(0x0100) + number16(1) + std::string(6, '\0') + "\xc0\x0c" +
                                    number16(1) + number16(1), 1},
        {"label over the end", number16(1) + number16(0x0100) + number16(1) + std::string(6, '\0') + "\x3f" + "a", 1},
        {"no type", query("api.example.test", kA).substr(0, 12 + 18 + 1), 1},
        {"name too long", query(std::string(60, 'a') + "." + std::string(60, 'b') + "." + std::string(60, 'c') + "." +
                                    std::string(60, 'd') + "." + std::string(60, 'e'), kA), 1},
    };
    for (const Row& row : rows) {
        const auto answer = answer_dns(row.message, pool);
        ASSERT_TRUE(answer) << row.what;
        EXPECT_EQ(rcode(*answer), row.expected) << row.what;
        EXPECT_EQ(answers(*answer), 0U) << row.what;
    }
}

TEST(Dns, AnswersAndScrapsAreDropped) {
    AddressPool pool;
    std::string an_answer = query("api.example.test", kA);
    an_answer[2] = static_cast<char>(0x81);

    EXPECT_FALSE(answer_dns(an_answer, pool));
    EXPECT_FALSE(answer_dns("", pool));
    EXPECT_FALSE(answer_dns(std::string(11, '\0'), pool));
}

TEST(Dns, NoAnswerNeedsMoreThanThePlainSize) {
    AddressPool pool;
    std::string longest;
    for (const char letter : {'a', 'b', 'c'}) longest += std::string(63, letter) + ".";
    longest += std::string(61, 'd');
    for (const unsigned type : {kA, kAaaa, kAny}) {
        const auto answer = answer_dns(query(longest, type, 1, opt(0)), pool);
        ASSERT_TRUE(answer);
        EXPECT_LE(answer->size(), 512U);
    }
}

TEST(AddressPool, TheNameUsedLongestAgoGivesItsPlaceUp) {
    AddressPool pool(3);
    const std::uint32_t first = pool.address_of("a.test");
    const std::uint32_t second = pool.address_of("b.test");
    static_cast<void>(pool.address_of("c.test"));
    static_cast<void>(pool.name_of(first));

    const std::uint32_t fourth = pool.address_of("d.test");

    EXPECT_EQ(pool.name_of(first), "a.test");
    EXPECT_EQ(pool.name_of(second), std::nullopt);
    // Its address is not given out again at once: somebody may still hold the old answer.
    EXPECT_NE(fourth, second);
}

TEST(AddressPool, AnOpenConnectionKeepsItsName) {
    AddressPool pool(2);
    const std::uint32_t held = pool.address_of("held.test");
    pool.hold(held);
    for (const char* other : {"a.test", "b.test", "c.test"}) static_cast<void>(pool.address_of(other));

    EXPECT_EQ(pool.name_of(held), "held.test");
    pool.release(held);
    for (const char* other : {"d.test", "e.test"}) static_cast<void>(pool.address_of(other));
    EXPECT_EQ(pool.name_of(held), std::nullopt);
}

TEST(AddressPool, AddressesAreDistinctInsideTheRangeAndNeverEndIn0Or255) {
    AddressPool pool;
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 2000; ++i) {
        const std::uint32_t address = pool.address_of("h" + std::to_string(i) + ".test");
        EXPECT_TRUE(AddressPool::contains(address));
        EXPECT_NE(address & 0xffU, 0U);
        EXPECT_NE(address & 0xffU, 255U);
        seen.insert(address);
    }
    EXPECT_EQ(seen.size(), 2000U);
}

}  // namespace
}  // namespace sanctum::interceptor
