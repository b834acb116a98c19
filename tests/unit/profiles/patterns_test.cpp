// SPDX-License-Identifier: Apache-2.0
#include "profiles/policy/patterns.hpp"
#include "profiles/policy/query.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

struct Row {
    std::string_view pattern;
    std::string_view path;
    bool is_covered;
};

TEST(PathPatterns, CoverWholeSegments) {
    for (const Row& row : {
             Row{"/", "/", true},
             Row{"/", "/a", false},
             Row{"/**", "/", true},
             Row{"/**", "/a/b", true},
             Row{"/simple/**", "/simple/requests/", true},
             Row{"/simple/**", "/simple/", true},
             Row{"/simple/**", "/simple", false},
             Row{"/simple/**", "/simplex/a", false},
             Row{"/simple/**", "/", false},
             Row{"/repos/{owner}/{repo}", "/repos/acme/api", true},
             Row{"/repos/{owner}/{repo}", "/repos/acme/api/", false},
             Row{"/repos/{owner}/{repo}", "/repos/acme", false},
             Row{"/repos/{owner}/{repo}", "/repos//api", false},
             Row{"/a/*", "/a/b", true},
             Row{"/a/*", "/a/", false},
             Row{"/a/*", "/a/b/c", false},
             Row{"/a/", "/a/", true},
             Row{"/a/", "/a", false},
             Row{"/a", "/A", false},
             Row{"/a/*/c/**", "/a/b/c/d/e", true},
             Row{"/a/*/c/**", "/a/b/d/c", false},
             Row{"/@x", "/%40x", true},
             Row{"/%40x", "/@x", true},
             Row{"/a", "/a%2Fb", false},
         }) {
        SCOPED_TRACE(std::string(row.pattern) + " on " + std::string(row.path));
        EXPECT_EQ(covers_path(row.pattern, row.path, Reading::Exact), row.is_covered);
    }
}

// Servers that ignore case must not be a way around a rule that forbids.
TEST(PathPatterns, IgnoreCaseWhereTheyForbid) {
    EXPECT_TRUE(covers_path("/repos/acme/api", "/Repos/ACME/api", Reading::Lenient));
    EXPECT_FALSE(covers_path("/repos/acme/api", "/Repos/ACME/api", Reading::Exact));
}

// Most servers give `/admin` and `/admin/` to the same handler.
TEST(PathPatterns, IgnoreASlashAtTheEndWhereTheyForbid) {
    for (const Row& row : {
             Row{"/admin", "/admin/", true},
             Row{"/admin/", "/admin", true},
             Row{"/users/*", "/users/x/", true},
             Row{"/users/*", "/users/", false},
             Row{"/users/*", "/users/x/y/", false},
             Row{"/users/**", "/users/", true},
             Row{"/users/**", "/users", false},
             Row{"/", "/", true},
             Row{"/", "/x/", false},
             Row{"/**", "/", true},
         }) {
        SCOPED_TRACE(std::string(row.pattern) + " on " + std::string(row.path));
        EXPECT_EQ(covers_path(row.pattern, row.path, Reading::Lenient), row.is_covered);
    }
}

TEST(PathPatterns, MayOverlapWhereALenientServerWouldReadThemAlike) {
    EXPECT_TRUE(may_overlap({"GET", "/admin"}, {"*", "/Admin/"}));
    EXPECT_TRUE(may_overlap({"DELETE", "/users/*/"}, {"DELETE", "/users/{id}"}));
    EXPECT_FALSE(may_overlap({"GET", "/admin"}, {"GET", "/admin/x/"}));
    EXPECT_FALSE(may_overlap({"GET", "/admin"}, {"POST", "/admin/"}));
}

TEST(Methods, OfGetCoverHeadAndNothingElse) {
    EXPECT_TRUE(covers_method("GET", "HEAD"));
    EXPECT_FALSE(covers_method("HEAD", "GET"));
    EXPECT_FALSE(covers_method("GET", "POST"));
    EXPECT_TRUE(covers_method("*", "POST"));
}

TEST(RequestPatterns, OfTheGrammarAreAccepted) {
    for (const std::string_view text :
         {"GET /", "GET /**", "* /a/{b}/*", "M-SEARCH /x", "POST /a/b.c;v=1/@x,(y)/%40"}) {
        EXPECT_TRUE(std::holds_alternative<RequestPattern>(parse_request_pattern(text))) << text;
    }
}

TEST(RequestPatterns, OutsideTheGrammarAreRefused) {
    for (const std::string_view text : {"",
                                        "/",
                                        "GET",
                                        "GET ",
                                        "get /",
                                        "GET  /",
                                        "GET /a /b",
                                        "GET a",
                                        " /a",
                                        "G*T /",
                                        "GET /**/a",
                                        "GET /a**",
                                        "GET /*a",
                                        "GET /{",
                                        "GET /{a",
                                        "GET /a}",
                                        "GET /{}",
                                        "GET /{a}{b}",
                                        "GET /{a-b}",
                                        "GET /../a",
                                        "GET /./a",
                                        "GET //",
                                        "GET /a//b",
                                        "GET /a?b",
                                        "GET /a#b",
                                        "GET /a%",
                                        "GET /%2f",
                                        "GET /%5C",
                                        "GET /%00",
                                        "GET /%2e%2e",
                                        "GET /a\\b",
                                        "GET /a|b",
                                        "GET /\xc3\xbc",
                                        "GET http://a.test/"}) {
        EXPECT_TRUE(std::holds_alternative<Fault>(parse_request_pattern(text))) << text;
    }
}

TEST(ResourcePatterns, CoverWholeSegments) {
    for (const Row& row : {
             Row{"acme/api", "acme/api", true},
             Row{"acme/api", "acme/api2", false},
             Row{"acme/api", "ACME/api", false},
             Row{"acme/*", "acme/api", true},
             Row{"acme/*", "acme/a/b", false},
             Row{"acme/*", "acme", false},
             Row{"**", "x", true},
             Row{"**", "x/y", true},
             Row{"**", "", false},
             Row{"*", "", false},
             Row{"**", "/", false},
             Row{"**", "a//b", false},
             Row{"a/**", "a/", false},
             Row{"refs/heads/agent/**", "refs/heads/agent/x", true},
             Row{"refs/heads/agent/**", "refs/heads/agent", false},
             Row{"refs/heads/agent/**", "refs/heads/agentx/y", false},
             Row{"refs/heads/agent/**", "refs/heads/main", false},
         }) {
        SCOPED_TRACE(std::string(row.pattern) + " on " + std::string(row.path));
        EXPECT_EQ(covers_resource(row.pattern, row.path), row.is_covered);
    }
}

TEST(ResourcePatterns, OverlapWhenOneValueFitsBoth) {
    EXPECT_TRUE(can_overlap("**", "acme/api"));
    EXPECT_TRUE(can_overlap("acme/*", "*/api"));
    EXPECT_TRUE(can_overlap("acme/**", "acme/*"));
    EXPECT_FALSE(can_overlap("acme/*", "other/**"));
    EXPECT_FALSE(can_overlap("acme", "acme/*"));
}

TEST(Segments, AreDecodedUnlessThatWouldMoveABorder) {
    EXPECT_EQ(decode_segment("%40x"), "@x");
    for (const std::string_view text :
         {"a%2Fb", "a%2fb", "a%5Cb", "a%00", "a%0a", "%2e%2e", "%2e", "a%zz", "a%2", "%252e"}) {
        EXPECT_EQ(decode_segment(text), text);
    }
}

TEST(Queries, GiveAParameterOnlyWhenItIsThereOnce) {
    EXPECT_EQ(single_parameter("a=1&b=x%20y+z", "b"), "x y z");
    EXPECT_EQ(single_parameter("a=1&a=2", "a"), std::nullopt);
    EXPECT_EQ(single_parameter("a=1;a=2", "a"), std::nullopt);
    EXPECT_EQ(single_parameter("a=1&%61=2", "a"), std::nullopt);
    EXPECT_EQ(single_parameter("ab=1", "a"), std::nullopt);
    EXPECT_EQ(single_parameter("a", "a"), "");
}

}  // namespace
}  // namespace sanctum::profiles
