// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/values.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

template <class T>
bool is_valid(const Parsed<T>& parsed) {
    return std::holds_alternative<T>(parsed);
}

TEST(Durations, AreAWholeNumberAndAUnit) {
    struct Row {
        std::string_view text;
        std::int64_t ms;
    };
    for (const Row& row :
         {Row{"30s", 30'000}, Row{"5m", 300'000}, Row{"2h", 7'200'000}, Row{"7d", 604'800'000}, Row{"0s", 0}}) {
        SCOPED_TRACE(row.text);
        const auto parsed = parse_duration(row.text);
        ASSERT_TRUE(is_valid(parsed));
        EXPECT_EQ(std::get<std::int64_t>(parsed), row.ms);
    }
}

TEST(Durations, OfAnotherFormAreRefused) {
    for (const std::string_view text : {"", "s", "30", "30 s", " 30s", "-5m", "+5m", "1.5h", "30S", "5min", "1w",
                                        "5m30s", "0x5m", "99999999999999999999s", "999999999999999d"}) {
        EXPECT_FALSE(is_valid(parse_duration(text))) << text;
    }
}

TEST(Sizes, UseBinaryUnits) {
    EXPECT_EQ(std::get<std::uint64_t>(parse_size("512MiB")), 512ULL << 20U);
    EXPECT_EQ(std::get<std::uint64_t>(parse_size("2GiB")), 2ULL << 30U);
    for (const std::string_view text : {"2GB", "2G", "2 GiB", "GiB", "2gib", "99999999TiB"}) {
        EXPECT_FALSE(is_valid(parse_size(text))) << text;
    }
}

TEST(Durations, AreWrittenInTheLargestExactUnit) {
    EXPECT_EQ(format_duration(1'800'000), "30m");
    EXPECT_EQ(format_duration(5'400'000), "90m");
    EXPECT_EQ(format_duration(86'400'000), "1d");
    EXPECT_EQ(format_duration(1'500), "1500ms");
    EXPECT_EQ(format_size(3ULL << 29U), "1536MiB");
}

TEST(HostNames, AreLowerCaseLabels) {
    for (const std::string_view text :
         {"pypi.org", "a.b-c.example", "xn--bcher-kva.example", "metrics", "1password.com"}) {
        EXPECT_TRUE(is_valid(parse_host(text, Wildcard::Refused))) << text;
    }
}

// POL-03, POL-04: whatever two programs could read as two different hosts.
TEST(HostNames, OfAnyOtherFormAreRefused) {
    const std::string long_label(64, 'a');
    const std::string long_name = std::string(60, 'a') + "." + std::string(60, 'b') + "." + std::string(60, 'c') + "." +
                                  std::string(60, 'd') + "." + std::string(20, 'e');
    for (const std::string& text : std::initializer_list<std::string>{"",
                                                                      ".",
                                                                      "a..b",
                                                                      ".a.test",
                                                                      "a.test.",
                                                                      "A.test",
                                                                      "a_b.test",
                                                                      "-a.test",
                                                                      "a-.test",
                                                                      "a b.test",
                                                                      "a\tb.test",
                                                                      "a.test:443",
                                                                      "user@a.test",
                                                                      "a.test/x",
                                                                      "https://a.test",
                                                                      "10.0.0.1",
                                                                      "[::1]",
                                                                      "::1",
                                                                      "1.2.3",
                                                                      "0x7f.1",
                                                                      "127.1",
                                                                      "a.123",
                                                                      "a%2eb.test",
                                                                      "b\xc3\xbc"
                                                                      "cher.example",
                                                                      "a\xef\xbc\x8e"
                                                                      "test",
                                                                      std::string("a\0b.test", 8),
                                                                      "*.example.org",
                                                                      "localhost",
                                                                      "x.localhost",
                                                                      long_label + ".test",
                                                                      long_name}) {
        EXPECT_FALSE(is_valid(parse_host(text, Wildcard::Refused))) << text;
    }
}

TEST(HostNames, MayBeginWithOneWildcardWhereThatIsMeant) {
    EXPECT_TRUE(is_valid(parse_host("*.example.org", Wildcard::Leading)));
    for (const std::string_view text : {"*", "*.", "*.com", "*.co.uk", "*.github.io", "*.corp", "*.*.example.org",
                                        "a*.example.org", "*a.example.org", "a.*.org", "*.10.0.0.1"}) {
        EXPECT_FALSE(is_valid(parse_host(text, Wildcard::Leading))) << text;
    }
}

TEST(Addresses, AreCanonical) {
    EXPECT_EQ(std::get<std::string>(parse_address_port("127.0.0.1:18443")), "127.0.0.1:18443");
    EXPECT_EQ(std::get<std::string>(parse_address_port("[0:0::1]:443")), "[::1]:443");
    for (const std::string_view text : {"127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:0443", "::1:443",
                                        "[::1]", "localhost:443", "[127.0.0.1]:1", "127.1:80"}) {
        EXPECT_FALSE(is_valid(parse_address_port(text))) << text;
    }
}

TEST(AddressRanges, HaveNoBitsBehindTheirPrefix) {
    EXPECT_EQ(std::get<std::string>(parse_cidr("10.2.0.0/16")), "10.2.0.0/16");
    EXPECT_EQ(std::get<std::string>(parse_cidr("192.168.1.7")), "192.168.1.7/32");
    EXPECT_EQ(std::get<std::string>(parse_cidr("fd00::/8")), "fd00::/8");
    for (const std::string_view text :
         {"10.2.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "fd00::/129", "intranet/8", ""}) {
        EXPECT_FALSE(is_valid(parse_cidr(text))) << text;
    }
}

TEST(Paths, AreCompletedAndNormalised) {
    struct Row {
        std::string_view text;
        std::string_view path;
    };
    for (const Row& row : {Row{".", "/work"}, Row{"src", "/work/src"}, Row{"../x", "/x"}, Row{"~", "/home/alice"},
                           Row{"~/a/./b//c/", "/home/alice/a/b/c"}, Row{"/a/../../etc", "/etc"}, Row{"/", "/"}}) {
        SCOPED_TRACE(row.text);
        EXPECT_EQ(std::get<std::string>(parse_path(row.text, "/work", "/home/alice")), row.path);
    }
    EXPECT_FALSE(is_valid(parse_path("~bob/x", "/work", "/home/alice")));
    EXPECT_FALSE(is_valid(parse_path("~/x", "/work", "")));
}

}  // namespace
}  // namespace sanctum::profiles
