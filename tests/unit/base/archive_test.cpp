// SPDX-License-Identifier: Apache-2.0
#include "base/wire/archive.hpp"

#include "base/limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::wire {
namespace {

using ::testing::HasSubstr;

enum class Colour : std::uint8_t { Red, Blue };
std::string_view name_of(Colour colour) { return colour == Colour::Red ? "red" : "blue"; }
bool parse_name(std::string_view name, Colour& colour) {
    if (name != "red" && name != "blue") return false;
    colour = name == "red" ? Colour::Red : Colour::Blue;
    return true;
}
bool is_known(Colour colour) { return colour <= Colour::Blue; }

struct Inner {
    std::string text;
    std::uint16_t small = 0;
    bool operator==(const Inner&) const = default;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("text", self.text);
        archive("small", self.small);
    }
};

struct Everything {
    std::string text;
    std::int64_t number = 0;
    std::uint64_t natural = 0;
    bool flag = false;
    Colour colour = Colour::Red;
    Digest digest{};
    std::vector<std::vector<std::string>> lists;
    std::optional<std::string> maybe;
    std::optional<std::vector<std::string>> maybe_list;
    std::map<std::string, std::vector<std::string>> map;
    std::vector<Inner> inner;
    bool operator==(const Everything&) const = default;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("text", self.text);
        archive("number", self.number);
        archive("natural", self.natural);
        archive("flag", self.flag);
        archive("colour", self.colour);
        archive("digest", self.digest);
        archive("lists", self.lists);
        archive("maybe", self.maybe);
        archive("maybe_list", self.maybe_list);
        archive("map", self.map);
        archive("inner", self.inner);
    }
};

struct Strings {
    std::vector<std::string> values;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("values", self.values); }
};

struct Flag {
    bool flag = false;
    Colour colour = Colour::Red;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("flag", self.flag);
        archive("colour", self.colour);
    }
};

struct Maybe {
    std::optional<std::uint64_t> value;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("value", self.value); }
};

Everything full() {
    Everything all;
    all.text = "quote \" backslash \\ line\nnul";
    all.text += std::string(1, '\0') + "\xc3\xa9\xf0\x9f\x98\x80";
    all.number = -9'223'372'036'854'775'807 - 1;
    all.natural = 18'446'744'073'709'551'615ULL;
    all.flag = true;
    all.colour = Colour::Blue;
    all.digest.fill(0xab);
    all.lists = {{}, {"a"}, {"b", "c"}};
    all.maybe = "";
    all.maybe_list = std::vector<std::string>{};
    all.map = {{"", {}}, {"repo", {"a", "b"}}};
    all.inner = {{"x", 65535}, {"", 0}};
    return all;
}

TEST(JsonArchive, EveryTypeComesBack) {
    EXPECT_EQ(*from_json<Everything>(to_json(full())), full());
    EXPECT_EQ(*from_json<Everything>(to_json(Everything{})), Everything{});
}

TEST(BinaryArchive, EveryTypeComesBackAndBytesNeedNotBeText) {
    Everything all = full();
    all.text = "\xff\xfe any bytes";
    EXPECT_EQ(*from_binary<Everything>(to_binary(all)), all);
    EXPECT_EQ(*from_binary<Everything>(to_binary(Everything{})), Everything{});
}

TEST(BinaryArchive, EveryShortenedMessageIsRefused) {
    const std::string good = to_binary(full());
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(from_binary<Everything>(good.substr(0, size))) << "cut at " << size;
    }
    EXPECT_TRUE(from_binary<Everything>(good));
    EXPECT_FALSE(from_binary<Everything>(good + "x")) << "a byte too many";
}

// Whatever a flipped bit does to a length, no read goes outside and no memory is taken for what is not there.
TEST(BinaryArchive, NoFlippedBitReadsOutsideOrTakesMemory) {
    const std::string good = to_binary(full());
    for (std::size_t i = 0; i < good.size() * 8; ++i) {
        std::string bad = good;
        bad[i / 8] = static_cast<char>(static_cast<unsigned char>(bad[i / 8]) ^ (1U << (i % 8)));
        const Result<Everything> read = from_binary<Everything>(bad);
        if (read) {
            EXPECT_EQ(to_binary(*read).size(), bad.size());
        }
    }
}

TEST(BinaryArchive, ALengthThatPromisesMoreThanThereIsIsRefused) {
    EXPECT_FALSE(from_binary<Strings>(std::string("\xff\xff\xff\xff", 4)));
    EXPECT_FALSE(from_binary<Strings>(std::string("\x02\0\0\0\0\0\0\0", 8)));
    EXPECT_TRUE(from_binary<Strings>(std::string("\x01\0\0\0\0\0\0\0", 8)));
}

TEST(BinaryArchive, ABoolOrAnEnumeratorOutOfRangeIsRefused) {
    EXPECT_TRUE(from_binary<Flag>(std::string("\x01\x01", 2)));
    EXPECT_FALSE(from_binary<Flag>(std::string("\x02\x01", 2)));
    EXPECT_FALSE(from_binary<Flag>(std::string("\x01\x02", 2)));
}

// --- JSON ---------------------------------------------------------------------------------------------------------

TEST(JsonArchive, AMissingMemberOrAWrongTypeIsNamed) {
    for (const auto& [text, member] : std::map<std::string, std::string>{{R"({"small":1})", "text"},
                                                                         {R"({"text":"x"})", "small"},
                                                                         {R"({"text":1,"small":1})", "text"},
                                                                         {R"({"text":null,"small":1})", "text"},
                                                                         {R"({"text":"x","small":"1"})", "small"},
                                                                         {R"({"text":"x","small":1.5})", "small"},
                                                                         {R"({"text":"x","small":-1})", "small"},
                                                                         {R"({"text":"x","small":65536})", "small"}}) {
        const Result<Inner> read = from_json<Inner>(text);
        ASSERT_FALSE(read) << text;
        EXPECT_THAT(read.error().what, HasSubstr(member)) << text;
    }
    EXPECT_TRUE(from_json<Inner>(R"({"text":"x","small":65535,"unknown":[]})"));
}

TEST(JsonArchive, OptionalMembersMayBeAbsentOrNullButNotOfAnotherType) {
    EXPECT_EQ(from_json<Maybe>("{}")->value, std::nullopt);
    EXPECT_EQ(from_json<Maybe>(R"({"value":null})")->value, std::nullopt);
    EXPECT_EQ(from_json<Maybe>(R"({"value":7})")->value, 7U);
    EXPECT_FALSE(from_json<Maybe>(R"({"value":"7"})"));
}

TEST(JsonText, WhatIsNotStrictJsonIsRefused) {
    for (const char* text : {"", "{", "{}x", "{} {}", R"({"a":1,"a":2})", R"([{"a":{"b":1,"b":2}}])", "{'a':1}",
                             "{\"a\":01}", "// x\n{}", "\xff", "{\"a\":\"\xff\"}", "{\"a\":\"line\nbreak\"}", "NaN"}) {
        EXPECT_FALSE(JsonText::parse(text)) << text;
    }
    EXPECT_TRUE(JsonText::parse(R"( {"a":[1,2,{"a":null}]} )"));
}

TEST(JsonText, NestingIsBounded) {
    const auto nested = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
    };
    EXPECT_TRUE(JsonText::parse(nested(kJsonDepthMax)));
    EXPECT_FALSE(JsonText::parse(nested(kJsonDepthMax + 2)));
    EXPECT_FALSE(JsonText::parse(nested(100'000)));
}

TEST(JsonString, WhatCouldBreakALineOrAParserIsEscaped) {
    std::string out;
    append_json_string(out, std::string("a\"b\\c\n\x1b\x7f", 8) + std::string(1, '\0'));
    EXPECT_EQ(out, "\"a\\\"b\\\\c\\u000a\\u001b\\u007f\\u0000\"");
}

TEST(JsonString, BytesThatAreNoUtf8AreReplacedAndValidOnesStay) {
    for (const std::string& bad : {std::string("\xff"), std::string("\xc0\xaf"), std::string("\xed\xa0\x80"),
                                   std::string("\xf4\x90\x80\x80"), std::string("\xe2\x82"), std::string("\x80")}) {
        std::string out;
        append_json_string(out, bad);
        EXPECT_THAT(out, HasSubstr("\xef\xbf\xbd"));
        EXPECT_TRUE(JsonText::parse(out)) << "always valid JSON";
    }
    std::string out;
    append_json_string(out, "\xe2\x82\xac");
    EXPECT_EQ(out, "\"\xe2\x82\xac\"");
}

TEST(Hex, ComesBackAndRefusesEverythingElse) {
    EXPECT_EQ(to_hex(std::string_view("\x00\xff\x10", 3)), "00ff10");
    EXPECT_EQ(*from_hex("00ff10"), std::string("\x00\xff\x10", 3));
    EXPECT_EQ(*from_hex(""), "");
    for (const char* bad : {"0", "0g", "FF", " 0", "0x"}) EXPECT_EQ(from_hex(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace sanctum::wire
