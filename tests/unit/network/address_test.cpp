// SPDX-License-Identifier: Apache-2.0
// Which addresses an upstream may have (NET-01, NET-02, NET-03), and what a Dial message may ask for.
#include "network/address.hpp"
#include "network/dialler.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sanctum::network {
namespace {

TEST(UpstreamAddress, GlobalOnesAreFine) {
    for (const char* text : {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
                             "126.255.255.255", "128.0.0.0", "140.82.112.3", "169.253.255.255", "169.255.0.0",
                             "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
                             "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
                             "203.0.112.255", "223.255.255.255", "2001:200::1", "2600::1", "2606:4700::1111",
                             "2a00:1450:4001::1", "2001:4860:4860::8888", "2003::1", "3ffd::1"}) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address.has_value()) << text;
        EXPECT_EQ(judge_address(*address, {}), std::nullopt) << text;
    }
}

TEST(UpstreamAddress, EveryOtherOneIsRefused) {
    const char* const refused[] = {
        // unspecified, private, shared, loopback, link-local
        "0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.0", "100.64.0.1",
        "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.0.1.1", "127.255.255.255", "169.254.0.0", "169.254.0.1",
        "169.254.255.255", "172.16.0.0", "172.16.0.1", "172.31.255.255", "192.168.0.0", "192.168.1.1",
        "192.168.255.255",
        // metadata services, also those at addresses that look public
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192",
        "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
        // protocol, documentation, benchmark, relay ranges
        "192.0.0.0", "192.0.0.8", "192.0.0.170", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.31.196.1",
        "192.52.193.1", "192.88.99.0", "192.88.99.1", "192.175.48.1", "198.18.0.0", "198.18.0.4", "198.19.255.255",
        "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255",
        // multicast, reserved, broadcast
        "224.0.0.0", "224.0.0.251", "239.255.255.255", "240.0.0.0", "240.0.0.1", "254.255.255.255", "255.255.255.255",
        // IPv6
        "::", "::1", "::2", "::ffff", "fe80::1", "fe80::ffff", "febf::1", "fec0::1", "feff::1", "fc00::1", "fd00::1",
        "fdff:ffff::1", "ff00::1", "ff02::1", "ff02::fb", "ff0e::1", "100::1", "100::ffff", "2001:db8::1",
        "2001:db8:ffff::1", "3fff::1", "3ffe::1", "5f00::1", "4000::1", "8000::1", "e000::1", "1::1", "200::1",
        "2001:2::1", "2001:10::1", "2001:1f::1", "2001:20::1", "2001:2f::1", "2001:1::1", "2001:1ff::1",
        // IPv4 inside IPv6: mapped, compatible, NAT64, 6to4, Teredo
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:192.168.0.1", "::ffff:0.0.0.0",
        "::ffff:224.0.0.1", "::ffff:100.64.0.1", "::127.0.0.1", "::10.0.0.1", "::169.254.169.254", "::8.8.8.8",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1", "64:ff9b:1:2::a00:1",
        "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1", "2002:c0a8:101::1", "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:7f00:1::", "::ffff:172.16.0.1", "::ffff:198.18.0.1",
        "64:ff9b::a00:1", "64:ff9b::c0a8:1", "2002:a00:1::1", "2002:ac10:1::1", "::172.16.0.1", "::192.168.1.1"};
    EXPECT_GE(std::size(refused), 120U);
    for (const char* text : refused) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address.has_value()) << text;
        EXPECT_NE(judge_address(*address, {}), std::nullopt) << text;
    }
}

TEST(UpstreamAddress, TheOperatorMayPermitPrivateRangesAndNothingBesideThem) {
    const Prefix allowed[] = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse("fd12::/16"), *Prefix::parse("127.0.0.1")};

    for (const char* text : {"10.2.0.1", "10.2.255.255", "::ffff:10.2.3.4", "fd12::1", "127.0.0.1"}) {
        EXPECT_EQ(judge_address(*Address::parse(text), allowed), std::nullopt) << text;
    }
    for (const char* text : {"10.1.255.255", "10.3.0.0", "fd13::1", "127.0.0.2", "::10.2.0.1", "2002:a02:1::1"}) {
        EXPECT_NE(judge_address(*Address::parse(text), allowed), std::nullopt) << text;
    }
}

// The identity of the machine itself is never for an agent, whatever somebody wrote into a file.
TEST(UpstreamAddress, NothingPermitsMetadataMulticastOrTheSandboxsOwnRange) {
    const Prefix everything[] = {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("::/0")};

    for (const char* text : {"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
                             "::169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "198.18.0.4",
                             "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255"}) {
        const Address address = *Address::parse(text);
        EXPECT_NE(judge_address(address, everything), std::nullopt) << text;
        EXPECT_NE(judge_named_address(address), std::nullopt) << text;
    }
    EXPECT_EQ(judge_named_address(*Address::parse("127.0.0.1")), std::nullopt);
    EXPECT_EQ(judge_address(*Address::parse("169.254.1.1"), everything), std::nullopt);
}

TEST(AddressText, OddSpellingsAreNoAddresses) {
    for (const char* text : {"", "127.1", "127.0.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01",
                             "127.0.0.1.",
                             "127.0.0.1 ", " 127.0.0.1", "1.2.3.4.5", "256.0.0.1", "[::1]", "::1%lo", "fe80::1%1",
                             "１２７.0.0.1", "127。0。0。1", "localhost", "0x7f000001", "1.2.3", "::ffff:127.0.0",
                             "1:2:3:4:5:6:7:8:9", "::g", ":::", "12345::"}) {
        EXPECT_EQ(Address::parse(text), std::nullopt) << text;
    }
    for (const char* text : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+80",
                             "127.0.0.1:080", "127.0.0.1: 80", "::1:80", "[127.0.0.1]:80", "[::1]", "[::1]80", ":80"}) {
        EXPECT_EQ(SocketAddress::parse(text), std::nullopt) << text;
    }
    for (const char* text : {"10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "fd00::/129",
                             "fd00::1/8", "/8", "10.0.0.0/8/8"}) {
        EXPECT_FALSE(Prefix::parse(text).has_value()) << text;
    }
}

TEST(AddressText, GoodSpellingsRoundTrip) {
    for (const char* text : {"127.0.0.1:443", "[::1]:18443", "[2001:db8::5]:80", "203.0.113.9:65535"}) {
        const auto address = SocketAddress::parse(text);
        ASSERT_TRUE(address.has_value()) << text;
        EXPECT_EQ(address->text(), text);
    }
    EXPECT_EQ(*Address::parse("::ffff:1.2.3.4"), *Address::parse("1.2.3.4"));
}

DialTable table() {
    profiles::DialEntry exact;
    exact.name = "api.example.test";
    exact.ports = {443, 8443};
    profiles::DialEntry wildcard;
    wildcard.name = "*.cdn.example.test";
    wildcard.ports = {443};
    return {{exact, wildcard}, {}, {}};
}

TEST(DialledHost, IsTheEntrysNameOrItsWildcardFilledIn) {
    EXPECT_EQ(*dialled_host(table(), {1, 0, "", 8443}), "api.example.test");
    EXPECT_EQ(*dialled_host(table(), {1, 1, "a", 443}), "a.cdn.example.test");
    EXPECT_EQ(*dialled_host(table(), {1, 1, "a-1.b", 443}), "a-1.b.cdn.example.test");
}

TEST(DialledHost, AnythingOutsideTheListIsRefused) {
    const wire::Dial refused[] = {
        {1, 2, "", 443},  {1, 0xffffffff, "", 443}, {1, 0, "", 80},      {1, 0, "evil", 443},   {1, 1, "", 443},
        {1, 1, "A", 443}, {1, 1, "a..b", 443},      {1, 1, ".a", 443},   {1, 1, "a.", 443},     {1, 1, "-a", 443},
        {1, 1, "a/b", 443}, {1, 1, "a b", 443},     {1, 1, "a@b", 443},  {1, 1, std::string("a\0b", 3), 443},
        {1, 1, "ä", 443}, {1, 1, std::string(64, 'a'), 443}, {1, 1, std::string(300, 'a'), 443}, {1, 1, "*", 443}};
    for (const wire::Dial& dial : refused) {
        const auto host = dialled_host(table(), dial);
        EXPECT_FALSE(host.has_value()) << dial.entry << " " << dial.labels << " " << dial.port;
    }
}

TEST(JudgedAddresses, ForbiddenOnesAreLeftOutAndFamiliesAlternate) {
    const std::vector<Address> found = {*Address::parse("1.1.1.1"), *Address::parse("127.0.0.1"),
                                        *Address::parse("8.8.8.8"), *Address::parse("2600::1"),
                                        *Address::parse("::ffff:10.0.0.1")};

    const auto judged = judge_addresses(found, {});

    ASSERT_TRUE(judged.has_value());
    std::vector<std::string> texts;
    for (const Address& address : *judged) texts.push_back(address.text());
    EXPECT_EQ(texts, (std::vector<std::string>{"2600::1", "1.1.1.1", "8.8.8.8"}));
}

TEST(JudgedAddresses, OnlyForbiddenOnesIsARefusalThatNamesOne) {
    const auto judged = judge_addresses({*Address::parse("127.0.0.1"), *Address::parse("10.0.0.1")}, {});

    ASSERT_FALSE(judged.has_value());
    EXPECT_EQ(judged.error().what, "127.0.0.1 is loopback");
}

TEST(DialTable, MistakesInTheConfigurationNameTheirPlace) {
    profiles::UpstreamConfig range;
    range.allow_addresses = {"10.0.0.0/40"};
    profiles::UpstreamConfig host;
    host.addresses = {{"git.example.test", "localhost:80"}};

    const auto bad_range = DialTable::create({}, range);
    const auto bad_host = DialTable::create({}, host);

    ASSERT_FALSE(bad_range.has_value());
    ASSERT_FALSE(bad_host.has_value());
    EXPECT_NE(bad_range.error().what.find("upstream.allow_addresses"), std::string::npos);
    EXPECT_NE(bad_host.error().what.find("upstream.host.git.example.test"), std::string::npos);
}

}  // namespace
}  // namespace sanctum::network
