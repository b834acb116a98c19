// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/diagnostics.hpp"

#include "base/limits.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

TEST(Diagnostics, ShowPlaceLineCaretAndHint) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("a/mission.toml", "schema = 1\nttl = 30\n");
    diagnostics.error({source, 2, 7, 2}, "`ttl` must be text", "write ttl = \"30m\"");

    EXPECT_EQ(
        diagnostics.to_error().what,
        "a/mission.toml:2:7: error: `ttl` must be text\n    ttl = 30\n          ^^\n    hint: write ttl = \"30m\"");
    EXPECT_EQ(diagnostics.name_of({source, 2, 7, 2}), "mission.toml:2");
}

TEST(Diagnostics, FollowTheTextNotTheOrderOfFinding) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("f", "a\nb\n");
    diagnostics.error({source, 2, 1, 1}, "second");
    diagnostics.error({source, 1, 1, 1}, "first");

    const std::string text = diagnostics.to_error().what;

    EXPECT_LT(text.find("first"), text.find("second"));
}

TEST(Diagnostics, StandUnderTheirWordBehindTabsAndWideLetters) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("f", "\t\"\xc3\xbc\" = x\n");
    diagnostics.error({source, 1, 8, 1}, "wrong");

    EXPECT_NE(diagnostics.to_error().what.find("\n    \t      ^"), std::string::npos) << diagnostics.to_error().what;
}

// A profile of a hostile repository must not move the operator's cursor or hide what it says.
TEST(Diagnostics, NeverSendControlCharactersToATerminal) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("f\x1b[2J", "key\x1b[31m = \xe2\x80\xae\n");
    diagnostics.error({source, 1, 1, 1}, "bad \x07 key \xc2\x9b", "hint \x1b]0;x");

    const std::string text = diagnostics.to_error().what;

    for (const char* harmful : {"\x1b", "\x07", "\xe2\x80\xae", "\xc2\x9b"}) {
        EXPECT_EQ(text.find(harmful), std::string::npos);
    }
}

TEST(Diagnostics, HideAValueThatMayBeASecret) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("f", "token = \"canary\"\n");
    diagnostics.error({source, 1, 1, 5}, "not here", "elsewhere", Show::NotTheValue);

    EXPECT_EQ(diagnostics.to_error().what.find("canary"), std::string::npos);
}

TEST(Diagnostics, AreDeniedOnlyWhenNothingIsWrong) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("f", "a\n");
    diagnostics.denied({source, 1, 1, 1}, "above the bound");
    EXPECT_EQ(diagnostics.to_error().code, Errc::Denied);

    diagnostics.error({source, 1, 1, 1}, "wrong");
    EXPECT_EQ(diagnostics.to_error().code, Errc::InvalidProfile);
}

TEST(Diagnostics, AreBounded) {
    Diagnostics diagnostics;
    const auto source = diagnostics.add_file("f", "a\n");
    for (std::size_t i = 0; i < kDiagnosticsMax + 7; ++i) diagnostics.error({source, 1, 1, 1}, "wrong");

    EXPECT_TRUE(diagnostics.to_error().what.ends_with("and 7 more mistakes"));
}

TEST(Suggestions, NameTheNearestOrElseWhatThereIs) {
    EXPECT_EQ(suggest("wrkspace", {"read", "workspace"}), "did you mean `workspace`?");
    EXPECT_EQ(suggest("nmae", {"agent", "name", "ttl"}), "did you mean `name`?");
    EXPECT_EQ(suggest("tlt", {"agent", "name", "ttl"}), "did you mean `ttl`?");
    EXPECT_EQ(suggest("eamn", {"agent", "name", "ttl"}), "known are: agent, name, ttl") << "not any order";
    EXPECT_EQ(suggest("zzz", {"read", "write"}), "known are: read, write");
    EXPECT_EQ(suggest("zzz", {}), "");
}

}  // namespace
}  // namespace sanctum::profiles
