// SPDX-License-Identifier: Apache-2.0
// A child mission is a part of its parent: what is wider is refused with its place, what is silent follows the parent,
// and no request is treated more mildly than by the parent.
#include "profiles/schema/delegated.hpp"

#include "profiles/policy/patterns.hpp"
#include "world.hpp"

#include <gtest/gtest.h>
#include <map>

namespace sanctum::profiles {
namespace {

using namespace test;

constexpr std::string_view kParent = R"(schema = 1
[mission]
name = "parent"
ttl = "30m"
delegate = true
[sandbox]
read = ["/data/in", "docs"]
write = ["/data/out"]
limits = { memory = "1GiB", missing = "refuse" }
environment = { pass = ["LANG"], set = { CI = "1" } }
[[service]]
name = "git"
catalog = "git-http"
account = "quickstart"
grant = ["fetch", "push"]
resources = { repo = ["demo.git"], ref = ["agent/**"] }
[[service]]
name = "github"
catalog = "github"
account = "alice"
grant = ["issues:write", "metadata:read"]
resources = { repo = ["acme/*"] }
[[host]]
name = "*.example.org"
match = ["GET /**"]
[[host]]
name = "own.example.org"
match = ["GET /only/**"]
[[host]]
name = "pypi.org"
ports = [443, 8443]
match = ["GET /simple/**", "POST /up/{name}"]
[[rule]]
verdict = "deny"
host = "*.example.org"
match = ["GET /private/**"]
[[rule]]
verdict = "ask"
service = "github"
match = ["POST /repos/{owner}/{repo}/issues/{number}/lock"]
[[rule]]
verdict = "allow"
service = "github"
match = ["GET /odd/**"]
risk = "low"
[[rule]]
verdict = "allow"
host = "pypi.org"
match = ["GET /simple/big/**"]
risk = "critical"
[approval]
medium = "ask"
high = "deny"
critical = "deny"
[budget]
calls = 100
"github:issues:write" = { max = 5, in = "1m" }
)";

constexpr std::string_view kChildHead = "schema = 1\n[mission]\nname = \"child\"\nttl = \"10m\"\n";
constexpr std::string_view kShare = "[budget]\ncalls = 10\n";

Result<Mission> child_of(const Mission& parent, const std::string& toml, const Overrides& overrides = {}) {
    SANCTUM_TRY(const Profile profile, load_profile("child.toml", toml));
    SANCTUM_CHECK(check_within(profile, overrides, caller(), parent));
    SANCTUM_TRY(Mission child, resolve(toml, overrides));
    return narrow_to_parent(std::move(child), parent, 1'000'000);
}

std::string refusal_of(const Mission& parent, const std::string& toml) {
    const Result<Profile> profile = load_profile("child.toml", toml);
    EXPECT_TRUE(profile) << profile.error().what;
    const Status within = check_within(*profile, {}, caller(), parent);
    if (within) return "";
    EXPECT_EQ(within.error().code, Errc::Denied) << within.error().what;
    return within.error().what.substr(0, within.error().what.find('\n'));
}

struct WiderRow {
    const char* name;
    std::string_view rest;         // behind the head's four lines, with the short forms of text_of()
    std::string_view first_error;  // its beginning; empty: nothing is wider
};

constexpr WiderRow kWiderRows[] = {
    {"nothing but a share",
     "{S}",
     ""},
    {"no share of the budget",
     "",
     "child.toml:2:2: error: the parent has a budget for `calls`"},
    {"more than the budget",
     "[budget]\n" "calls = 101\n",
     "child.toml:6:1: error: the budget of `calls`"},
    {"a window where the parent has none",
     "[budget]\n" "calls = { max = 5, in = \"1m\" }\n",
     "child.toml:6:1: error: the budget of `calls` has another window"},
    {"no share of a service's budget",
     "{H}grant = [\"metadata:read\"]\n" "{S}",
     "child.toml:2:2: error: the parent has a budget for `github:issues:write`"},
    {"a granted scope",
     "{H}grant = [\"issues:write\"]\n" "{I}",
     ""},
    {"another scope",
     "{H}grant = [\"contents:read\"]\n" "{I}",
     "child.toml:9:10: error: the parent is not granted `contents:read`"},
    {"another account",
     "[[service]]\n" "name = \"github\"\n" "catalog = \"github\"\n" "account = \"bob\"\n" "grant = []\n" "{I}",
     "child.toml:8:11: error: the parent's service `github` has another account"},
    {"a narrower repository",
     "{H}grant = []\n" "resources = { repo = [\"acme/api\"] }\n" "{I}",
     ""},
    {"every repository",
     "{H}grant = []\n" "resources = { repo = [\"**\"] }\n" "{I}",
     "child.toml:10:23: error: `**` is wider"},
    {"a short ref below the parent's",
     "{G}grant = [\"fetch\"]\n" "resources = { ref = [\"agent/x/**\"] }\n" "{S}",
     ""},
    {"another branch",
     "{G}grant = [\"push\"]\n" "resources = { ref = [\"main\"] }\n" "{S}",
     "child.toml:10:22: error: `main` is wider"},
    {"a host below the wildcard",
     "[[host]]\n" "name = \"a.example.org\"\n" "match = [\"GET /x/**\"]\n" "{S}",
     ""},
    {"a host that has rules of its own",
     "[[host]]\n" "name = \"own.example.org\"\n" "match = [\"GET /x\"]\n" "{S}",
     "child.toml:7:10: error: `GET /x` is more"},
    {"a wildcard over it",
     "[[host]]\n" "name = \"*.example.org\"\n" "match = [\"GET /**\"]\n" "{S}",
     "child.toml:6:8: error: *.example.org covers own.example.org"},
    {"another port",
     "[[host]]\n" "name = \"pypi.org\"\n" "ports = [444]\n" "match = [\"GET /simple/a\"]\n" "{S}",
     "child.toml:6:8: error: the parent may not reach port 444"},
    {"another method",
     "[[host]]\n" "name = \"pypi.org\"\n" "match = [\"PUT /simple/a\"]\n" "{S}",
     "child.toml:7:10: error: `PUT /simple/a` is more"},
    {"a service's host as a plain one",
     "[[host]]\n" "name = \"api.github.com\"\n" "match = [\"GET /**\"]\n" "{S}",
     "child.toml:6:8: error: the parent has no [[host]]"},
    {"an allowed pattern",
     "{H}grant = []\n" "[[rule]]\n" "verdict = \"allow\"\n" "service = \"github\"\n"
     "match = [\"GET /odd/x\"]\n" "risk = \"high\"\n" "{I}",
     ""},
    {"another pattern",
     "{H}grant = []\n" "[[rule]]\n" "verdict = \"allow\"\n" "service = \"github\"\n"
     "match = [\"GET /even/x\"]\n" "{I}",
     "child.toml:13:10: error: the parent has no rule that allows"},
    {"a milder risk",
     "[[host]]\n" "name = \"pypi.org\"\n" "match = [\"GET /simple/a\"]\n" "[[rule]]\n" "verdict = \"allow\"\n"
     "host = \"pypi.org\"\n" "match = [\"GET /simple/big/x\"]\n" "risk = \"low\"\n" "{S}",
     "child.toml:12:8: error: the parent's rule gives this a higher risk"},
    {"a deny rule of its own",
     "[[host]]\n" "name = \"pypi.org\"\n" "match = [\"GET /simple/a\"]\n" "[[rule]]\n" "verdict = \"deny\"\n"
     "host = \"pypi.org\"\n" "match = [\"GET /x\"]\n" "{S}",
     ""},
    {"a milder approval",
     "[approval]\n" "medium = \"allow\"\n" "{S}",
     "child.toml:6:10: error: medium = \"allow\" is milder"},
    {"a stricter approval",
     "[approval]\n" "low = \"ask\"\n" "medium = \"ask\"\n" "{S}",
     ""},
    {"places of the parent",
     "[sandbox]\n" "read = [\"/data/in\", \"/data/out\"]\n" "{S}",
     ""},
    {"a place below one",
     "[sandbox]\n" "read = [\"/data/in/deep\"]\n" "{S}",
     "child.toml:6:9: error: /data/in/deep is no place"},
    {"what is read, to write",
     "[sandbox]\n" "write = [\"/data/in\"]\n" "{S}",
     "child.toml:6:10: error: /data/in is no place that the parent may write"},
    {"the workspace to read",
     "[sandbox]\n" "read = [\".\"]\n" "{S}",
     ""},
    {"another workspace",
     "[sandbox]\n" "workspace = \"sub\"\n" "{S}",
     "child.toml:6:13: error: the workspace"},
    {"a kept home",
     "[sandbox]\n" "home = \"kept\"\n" "{S}",
     "child.toml:6:8: error: the parent's home"},
    {"less attribution",
     "[sandbox]\n" "attribute = false\n" "{S}",
     "child.toml:6:13: error: the parent's connections"},
    {"more memory",
     "[sandbox]\n" "limits = { memory = \"2GiB\" }\n" "{S}",
     "child.toml:6:1: error: `memory` is above"},
    {"a missing limit",
     "[sandbox]\n" "limits = { missing = \"accept\" }\n" "{S}",
     "child.toml:6:1: error: the parent does not accept"},
    {"a variable",
     "[sandbox]\n" "environment = { pass = [\"EDITOR\"] }\n" "{S}",
     "child.toml:6:"},
    {"a variable of the parent",
     "[sandbox]\n" "environment = { pass = [\"LANG\"] }\n" "{S}",
     ""},
};

// {S}: a share of the budget; {H}, {G}: the beginnings of the services github and git; {I}: shares where github is one.
std::string text_of(std::string_view rest) {
    std::string text = std::string(kChildHead) + std::string(rest);
    const std::map<std::string, std::string> forms = {
        {"{S}", std::string(kShare)},
        {"{H}", "[[service]]\nname = \"github\"\ncatalog = \"github\"\naccount = \"alice\"\n"},
        {"{G}", "[[service]]\nname = \"git\"\ncatalog = \"git-http\"\naccount = \"quickstart\"\n"},
        {"{I}", "[budget]\ncalls = 10\n\"github:issues:write\" = { max = 2, in = \"1m\" }\n"}};
    for (const auto& [form, meaning] : forms) {
        const std::size_t at = text.find(form);
        if (at != std::string::npos) text.replace(at, form.size(), meaning);
    }
    return text;
}

TEST(CheckWithin, TheFirstLineThatIsWiderIsNamed) {
    const World parent(kParent);
    for (const WiderRow& row : kWiderRows) {
        SCOPED_TRACE(row.name);
        const std::string refusal = refusal_of(parent.mission, text_of(row.rest));
        const std::size_t shown = row.first_error.empty() ? refusal.size() : row.first_error.size();
        EXPECT_EQ(refusal.substr(0, shown), row.first_error) << refusal;
    }
}

TEST(CheckWithin, LifeAndDepthAreBounded) {
    World parent(kParent);
    const std::string longer = "schema = 1\n[mission]\nname = \"child\"\nttl = \"31m\"\n" + std::string(kShare);
    const std::string deep = std::string(kChildHead) + "delegate = true\n" + std::string(kShare);

    EXPECT_TRUE(refusal_of(parent.mission, longer).starts_with("child.toml:4:7: error: `ttl` is longer"));
    EXPECT_EQ(refusal_of(parent.mission, deep), "");
    parent.mission.depth = 2;
    EXPECT_TRUE(refusal_of(parent.mission, deep).starts_with("child.toml:5:"));
}

TEST(CheckWithin, OverridesAreCheckedToo) {
    const World parent(kParent);
    const std::string text = text_of("{S}");
    Overrides longer, milder, variable, narrower;
    longer.ttl = "1h";
    milder.settings = {"approval.medium=\"allow\""};
    variable.environment = {"GH_X"};
    narrower.ttl = "1m";
    narrower.environment = {"LANG"};

    for (const Overrides* wider : {&longer, &milder, &variable}) EXPECT_FALSE(child_of(parent.mission, text, *wider));
    EXPECT_TRUE(child_of(parent.mission, text, narrower));
}

TEST(NarrowToParent, WhatTheChildDoesNotSayFollowsTheParent) {
    const World parent(kParent);
    const std::string text = std::string(kChildHead) + std::string(kGit) + std::string(kShare);
    const Mission child = child_of(parent.mission, text).value();

    EXPECT_EQ(child.parent, parent.mission.id);
    EXPECT_EQ(child.depth, 1U);
    EXPECT_EQ(child.ttl_ms, 600'000);
    EXPECT_FALSE(child.delegate);
    EXPECT_EQ(child.approval.medium, Verdict::Ask);
    EXPECT_EQ(child.approval.high, Verdict::Deny);
    EXPECT_EQ(child.sandbox.limits.memory_bytes, 1ULL << 30U);
    ASSERT_EQ(child.sandbox.mounts.size(), 1U) << "what lies inside of the workspace comes along";
    EXPECT_EQ(child.sandbox.mounts[0].target, "/work/docs");
    EXPECT_FALSE(child.sandbox.mounts[0].writable);
    EXPECT_EQ(budget_shares(child, parent.mission), (std::vector<std::uint64_t>{10, 0}));
}

TEST(NarrowToParent, TheParentsTimeIsTheChildsLongest) {
    const World parent(kParent);
    const std::string text = std::string(kChildHead) + std::string(kShare);
    const Mission child = narrow_to_parent(resolve(text).value(), parent.mission, 5'000).value();

    EXPECT_EQ(child.ttl_ms, 5'000);
}

TEST(NarrowToParent, AConfigurationThatChangedMeanwhileIsRefused) {
    World parent(kParent);
    const std::string text = std::string(kChildHead) + std::string(kGit) + std::string(kShare);
    parent.mission.services[0].endpoints[0].hosts = {"elsewhere.test"};

    const Result<Mission> child = child_of(parent.mission, text);

    ASSERT_FALSE(child);
    EXPECT_NE(child.error().what.find("has changed"), std::string::npos);
}

// Deny is stricter than everything; a request that is not allowed needs no further comparison.
Verdict verdict_of(const World& world, const Mission& mission, const Request& request) {
    return decide(mission, request, classify(mission, world.catalog, request), Spent(mission.budgets.size())).verdict;
}

TEST(NarrowToParent, NoRequestIsTreatedMoreMildlyThanByTheParent) {
    const World parent(kParent);
    const std::vector<std::string_view> children = {
        "{G}grant = [\"fetch\", \"push\"]\n{S}",
        "{H}grant = [\"issues:write\"]\n[[rule]]\nverdict = \"allow\"\nservice = \"github\"\nmatch = [\"GET /odd/x\"]\n"
        "risk = \"high\"\n{I}",
        "[[host]]\nname = \"a.example.org\"\nmatch = [\"GET /**\"]\n{S}",
        "[[host]]\nname = \"pypi.org\"\nmatch = [\"GET /simple/**\", \"POST /up/x\"]\n{S}",
        "[[host]]\nname = \"*.example.org\"\nmatch = [\"GET /**\"]\n[[host]]\nname = \"own.example.org\"\n"
        "match = [\"GET /only/a\"]\n{S}",
    };
    const std::vector<Request> requests = {
        request("GET", "https://a.example.org/private/x"), request("GET", "https://a.example.org/PRIVATE/x"),
        request("GET", "https://a.example.org/x"), request("HEAD", "https://a.example.org/x"),
        request("POST", "https://a.example.org/x"), request("GET", "https://own.example.org/x"),
        request("GET", "https://own.example.org/only/a"), request("GET", "https://pypi.org/simple/big/x"),
        request("GET", "https://pypi.org/simple/x"), request("POST", "https://pypi.org/up/x"),
        request("POST", "https://api.github.com/repos/acme/api/issues"),
        request("GET", "https://api.github.com/repos/acme/api/issues"),
        request("GET", "https://api.github.com/repos/other/api/issues"),
        request("PUT", "https://api.github.com/repos/acme/api/issues/1/lock"),
        request("POST", "https://api.github.com/repos/acme/api/issues/1/lock"),
        request("GET", "https://api.github.com/odd/x"), request("GET", "https://api.github.com/user"),
        push(kRepo, {created("refs/heads/agent/x")}), push(kRepo, {created("refs/heads/main")}),
        push(kRepo, {deleted("refs/heads/agent/x")}), push(kRepo, {updated("refs/heads/agent/x")})};
    std::size_t allowed = 0;
    for (const std::string_view rest : children) {
        const Result<Mission> child = child_of(parent.mission, text_of(rest));
        ASSERT_TRUE(child) << rest << child.error().what;
        for (const Request& one : requests) {
            SCOPED_TRACE(std::string(rest) + one.method + " " + one.host + one.path);
            const Verdict verdict = verdict_of(parent, *child, one);
            EXPECT_GE(verdict, verdict_of(parent, parent.mission, one));
            allowed += verdict == Verdict::Allow ? 1 : 0;
        }
    }
    EXPECT_GE(allowed, 5U) << "a child that may do nothing would pass as well";
}

struct WithinRow {
    const char* narrow;
    const char* wide;
    bool is_within;
};

TEST(PatternsWithin, EverythingThatOneCoversIsCoveredByTheOther) {
    for (const WithinRow& row : {
             WithinRow{"GET /a", "GET /a", true},          WithinRow{"GET /a", "* /a", true},
             WithinRow{"* /a", "GET /a", false},           WithinRow{"HEAD /a", "GET /a", true},
             WithinRow{"GET /a", "HEAD /a", false},        WithinRow{"GET /a/b", "GET /a/*", true},
             WithinRow{"GET /a/*", "GET /a/b", false},     WithinRow{"GET /a/{x}", "GET /a/*", true},
             WithinRow{"GET /a/**", "GET /a/*", false},    WithinRow{"GET /a/*", "GET /a/**", true},
             WithinRow{"GET /a", "GET /a/**", false},      WithinRow{"GET /a/b/**", "GET /a/**", true},
             WithinRow{"GET /**", "GET /a/**", false},     WithinRow{"GET /a/", "GET /a/*", false},
             WithinRow{"GET /a/", "GET /a/**", true},      WithinRow{"GET /A", "GET /a", false},
             WithinRow{"GET /%61", "GET /a", true},        WithinRow{"GET /a/b", "GET /a/b/**", false},
         }) {
        SCOPED_TRACE(std::string(row.narrow) + " in " + row.wide);
        const auto narrow = std::get<RequestPattern>(parse_request_pattern(row.narrow));
        const auto wide = std::get<RequestPattern>(parse_request_pattern(row.wide));
        EXPECT_EQ(is_within(narrow, wide), row.is_within);
        if (row.is_within) {
            EXPECT_TRUE(may_overlap(narrow, wide));
        }
    }
    EXPECT_TRUE(is_resource_within("acme/api", "acme/*"));
    EXPECT_FALSE(is_resource_within("acme/**", "acme/*"));
}

}  // namespace
}  // namespace sanctum::profiles
