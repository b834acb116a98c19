// SPDX-License-Identifier: Apache-2.0
#include "profiles/policy/warm_needs.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using namespace test;

const std::string kPush = std::string(kRepo) + "/git-receive-pack";

const std::string kGithub = R"(
[[service]]
name = "github"
catalog = "github"
account = "alice"
grant = ["issues:write"]
resources = { repo = ["acme/api"] }
)";

const std::string kPages = R"(
[[host]]
name = "www.test"
match = ["GET /docs/**", "POST /form"]
)";

std::string profile(const std::string& rest) { return std::string(kHead) + rest; }

void expect_allowed(const Decision& decision, std::string_view rule) {
    EXPECT_EQ(decision.verdict, Verdict::Allow) << decision.text;
    EXPECT_EQ(decision.reason, "");
    EXPECT_EQ(decision.rule, rule);
}

void expect_refused(const Decision& decision, std::string_view reason, std::string_view rule) {
    EXPECT_EQ(decision.verdict, Verdict::Deny);
    EXPECT_EQ(decision.reason, reason) << decision.text;
    EXPECT_EQ(decision.rule, rule);
    EXPECT_FALSE(decision.text.empty());
}

TEST(Decide, AHostOutsideTheProfileIsUnknown) {
    const World world(profile(kPages));

    expect_allowed(world.decide(request("GET", "https://www.test/docs/x")), "host[0]");
    expect_refused(world.decide(request("GET", "https://other.test/docs/x")), "host_unknown", "");
}

TEST(Decide, APortOutsideTheProfileIsUnknown) {
    const World world(profile(kPages));

    expect_refused(world.decide(request("GET", "https://www.test:8443/docs/x")), "host_unknown", "");
}

TEST(Decide, PlainHttpIsOnlyForHostsTheOperatorNames) {
    const World world(profile(kPages + "[[host]]\nname = \"metrics.corp.test\"\nmatch = [\"GET /**\"]\n"));

    expect_allowed(world.decide(request("GET", "http://metrics.corp.test/x")), "host[1]");
    expect_refused(world.decide(request("GET", "http://www.test/docs/x")), "plain_http", "");
}

TEST(Decide, APlainHostAllowsWhatItNames) {
    const World world(profile(kPages));

    expect_allowed(world.decide(request("HEAD", "https://www.test/docs/x")), "host[0]");
    expect_allowed(world.decide(request("POST", "https://www.test/form")), "host[0]");
    expect_refused(world.decide(request("POST", "https://www.test/docs/x")), "operation_unknown", "host[0]");
    expect_refused(world.decide(request("GET", "https://www.test/")), "operation_unknown", "host[0]");
}

TEST(Decide, AnEmptyMissionAllowsNothing) {
    const World world(profile(""));

    expect_refused(world.decide(request("GET", "https://www.test/")), "host_unknown", "");
}

TEST(Decide, AGrantedScopeAllowsItsOperation) {
    const World world(profile(kGithub));

    const Decision decision = world.decide(request("POST", "https://api.github.com/repos/acme/api/issues"));

    expect_allowed(decision, "grant");
    EXPECT_EQ(decision.scopes, std::vector<std::string>{"issues:write"});
    EXPECT_EQ(decision.place, "mission.toml:6");
}

TEST(Decide, AnImpliedScopeAllowsItsOperation) {
    const World world(profile(kGithub));

    const Decision decision = world.decide(request("GET", "https://api.github.com/repos/acme/api/issues"));

    expect_allowed(decision, "grant");
    EXPECT_EQ(decision.scopes, std::vector<std::string>{"issues:read"});
}

TEST(Decide, AScopeThatIsNotGrantedIsMissing) {
    World world(profile(kGithub));
    world.mission.services[0].implied = {"issues:read"};

    const Decision decision = world.decide(request("POST", "https://api.github.com/repos/acme/api/issues"));

    expect_refused(decision, "scope_missing", "grant");
    EXPECT_EQ(decision.text, "issues/create needs issues:write, which is not granted");
}

TEST(Decide, AResourceMustBeInProfileAndAccount) {
    // The account bounds repo to acme/*; the profile says */tools.
    World world(
        profile(kGithub.substr(0, kGithub.find("resources")) + "resources = { repo = [\"acme/api\", \"*/tools\"] }\n"));

    expect_allowed(world.decide(request("GET", "https://api.github.com/repos/acme/api/issues")), "grant");
    expect_allowed(world.decide(request("GET", "https://api.github.com/repos/acme/tools/issues")), "grant");
    expect_refused(world.decide(request("GET", "https://api.github.com/repos/acme/other/issues")), "resource_outside",
                   "resources.repo");
    expect_refused(world.decide(request("GET", "https://api.github.com/repos/other/tools/issues")), "resource_outside",
                   "resources.repo");
    // Case and encodings are other names, not the same one.
    expect_refused(world.decide(request("GET", "https://api.github.com/repos/ACME/api/issues")), "resource_outside",
                   "resources.repo");
    expect_refused(world.decide(request("GET", "https://api.github.com/repos/acme/api%2F../issues")),
                   "resource_outside", "resources.repo");
}

TEST(Decide, AnOperationThatNobodyKnowsIsRefused) {
    const World world(profile(kGithub));

    expect_refused(world.decide(request("POST", "https://api.github.com/graphql")), "operation_unknown", "");
    expect_refused(world.decide(request("GET", "https://api.github.com/user")), "operation_unknown", "");
    expect_refused(world.decide(request("GET", "https://api.github.com/repos/acme/api/issues/")), "operation_unknown",
                   "");
}

// --- rules ---

TEST(Decide, AnAllowRuleMakesAnUnknownOperationKnown) {
    const World world(profile(
        kGithub +
        "[[rule]]\nverdict = \"allow\"\nservice = \"github\"\nmatch = [\"GET /rate_limit\"]\nrisk = \"low\"\n"));

    const Decision decision = world.decide(request("GET", "https://api.github.com/rate_limit"));

    expect_allowed(decision, "rule[0]");
    EXPECT_EQ(decision.scopes, std::vector<std::string>{"issues:write"});
    expect_refused(world.decide(request("GET", "https://api.github.com/rate_limits")), "operation_unknown", "");
}

TEST(Decide, AnAllowRuleWithoutARiskIsHigh) {
    const World world(
        profile(kGithub + "[[rule]]\nverdict = \"allow\"\nservice = \"github\"\nmatch = [\"GET /rate_limit\"]\n"));

    const Decision decision = world.decide(request("GET", "https://api.github.com/rate_limit"));

    EXPECT_EQ(decision.verdict, Verdict::Ask);
    EXPECT_EQ(decision.rule, "approval.high");
}

TEST(Decide, AnAllowRuleNeverWaivesGrantResourcesOrRiskOfAKnownOperation) {
    World world(profile(
        kGithub + "[[rule]]\nverdict = \"allow\"\nservice = \"github\"\nmatch = [\"* /repos/**\"]\nrisk = \"low\"\n"));

    expect_refused(world.decide(request("GET", "https://api.github.com/repos/evil/api/issues")), "resource_outside",
                   "resources.repo");
    EXPECT_EQ(world.decide(request("DELETE", "https://api.github.com/repos/acme/api/labels/bug")).verdict,
              Verdict::Ask);
    world.mission.services[0].implied = {"metadata:read"};
    expect_refused(world.decide(request("POST", "https://api.github.com/repos/acme/api/issues")), "scope_missing",
                   "grant");
}

TEST(Decide, DenyBeatsAskAndAskBeatsAllowInAnyOrder) {
    const std::string deny =
        "[[rule]]\nverdict = \"deny\"\nservice = \"github\"\nmatch = [\"GET /rate_limit\"]\nreason = \"no\"\n";
    const std::string ask = "[[rule]]\nverdict = \"ask\"\nservice = \"github\"\nmatch = [\"GET /{x}\"]\n";
    const std::string allow =
        "[[rule]]\nverdict = \"allow\"\nservice = \"github\"\nmatch = [\"GET /*\"]\nrisk = \"low\"\n";
    const Request rate = request("GET", "https://api.github.com/rate_limit");
    for (const std::string& rules : {deny + ask + allow, allow + ask + deny, ask + deny + allow}) {
        expect_refused(World(profile(kGithub + rules)).decide(rate), "rule_denied",
                       rules.starts_with(deny) ? "rule[0]"
                       : rules.ends_with(deny) ? "rule[2]"
                                               : "rule[1]");
    }
    for (const std::string& rules : {ask + allow, allow + ask}) {
        EXPECT_EQ(World(profile(kGithub + rules)).decide(rate).verdict, Verdict::Ask);
    }
}

TEST(Decide, ADenyRuleIsNotEscapedByCaseOrEncodingOrALastSlash) {
    const World world(profile(
        kPages +
        "[[rule]]\nverdict = \"deny\"\nhost = \"www.test\"\nmatch = [\"GET /docs/secret/**\", \"GET /docs/@me\"]\n"));

    for (const char* url : {"https://www.test/docs/secret/x", "https://www.test/docs/SECRET/x",
                            "https://www.test/docs/%73ecret/x", "https://www.test/docs/%40me", "https://www.test/docs/@me/"}) {
        expect_refused(world.decide(request("GET", url)), "rule_denied", "rule[0]");
    }
    expect_refused(world.decide(request("HEAD", "https://www.test/docs/secret/x")), "rule_denied", "rule[0]");
    expect_allowed(world.decide(request("GET", "https://www.test/docs/public/")), "host[0]");
    expect_allowed(world.decide(request("GET", "https://www.test/docs/public")), "host[0]");
}

TEST(Decide, ARuleIsAboutItsOwnServiceOnly) {
    const World world(profile(kGithub + std::string(kGit) +
                              "[[rule]]\nverdict = \"deny\"\nservice = \"github\"\nmatch = [\"* /**\"]\n"));

    expect_allowed(world.decide(request("POST", std::string(kRepo) + "/git-upload-pack")), "grant");
    expect_refused(world.decide(request("GET", "https://api.github.com/repos/acme/api/issues")), "rule_denied",
                   "rule[0]");
}

TEST(Decide, ARuleByOperationCoversIt) {
    const World world(
        profile(kGithub + "[[rule]]\nverdict = \"step-up\"\nservice = \"github\"\noperation = [\"issues/lock\"]\n"));

    const Decision decision = world.decide(request("PUT", "https://api.github.com/repos/acme/api/issues/7/lock"));

    EXPECT_EQ(decision.verdict, Verdict::StepUp);
    EXPECT_EQ(decision.rule, "rule[0]");
    expect_allowed(world.decide(request("POST", "https://api.github.com/repos/acme/api/issues")), "grant");
}

// --- risk ---

TEST(Decide, HighRiskAsksByDefaultAndIsAllowedWhereTheProfileSaysSo) {
    const Request remove = request("DELETE", "https://api.github.com/repos/acme/api/labels/bug");

    const Decision asked = World(profile(kGithub)).decide(remove);
    EXPECT_EQ(asked.verdict, Verdict::Ask);
    EXPECT_EQ(asked.rule, "approval.high");
    expect_allowed(World(profile(kGithub + "[approval]\nhigh = \"allow\"\n")).decide(remove), "grant");
    expect_refused(World(profile(kGithub + "[approval]\nhigh = \"deny\"\ncritical = \"deny\"\n")).decide(remove),
                   "rule_denied", "approval.high");
}

// --- budgets ---

const std::string kBudget =
    "[budget]\ncalls = 10\n\"github:issues:write\" = 2\n\"github/issues/create\" = { max = 1, in = \"1m\" }\n";

TEST(Decide, ASpentBudgetRefuses) {
    const World world(profile(kGithub + kBudget));
    const Request create = request("POST", "https://api.github.com/repos/acme/api/issues");

    expect_allowed(world.decide(create, {9, 1, 0}), "grant");
    expect_refused(world.decide(create, {10, 0, 0}), "budget_spent", "budget[0]");
    expect_refused(world.decide(create, {0, 2, 0}), "budget_spent", "budget[1]");
    expect_refused(world.decide(create, {0, 0, 1}), "budget_spent", "budget[2]");
}

TEST(Decide, ABudgetNobodyCountsIsSpent) {
    const World world(profile(kGithub + kBudget));

    expect_refused(world.decide(request("POST", "https://api.github.com/repos/acme/api/issues"), {}), "budget_spent",
                   "budget[0]");
}

TEST(Budgets, CountWhatTheyName) {
    const World world(profile(kGithub + kPages + kBudget));
    const auto counted = [&](const Request& asked) {
        return budgets_of(world.mission, world.classify(asked), world.decide(asked));
    };

    EXPECT_EQ(counted(request("POST", "https://api.github.com/repos/acme/api/issues")),
              (std::vector<std::size_t>{0, 1, 2}));
    EXPECT_EQ(counted(request("PATCH", "https://api.github.com/repos/acme/api/issues/7")),
              (std::vector<std::size_t>{0, 1}));
    EXPECT_EQ(counted(request("GET", "https://api.github.com/repos/acme/api/issues")), (std::vector<std::size_t>{0}));
    EXPECT_EQ(counted(request("GET", "https://www.test/docs/x")), (std::vector<std::size_t>{0}));
}

// --- git ---

TEST(DecideGit, FetchAndPushWithinTheProfileAreAllowed) {
    const World world(profile(std::string(kGit)));

    expect_allowed(world.decide(request("GET", std::string(kRepo) + "/info/refs?service=git-upload-pack")), "grant");
    expect_allowed(world.decide(request("GET", std::string(kRepo) + "/info/refs?service=git-receive-pack")), "grant");
    expect_allowed(world.decide(push(kPush, {created("refs/heads/agent/x")})), "grant");
    expect_allowed(world.decide(push(kPush, {updated("refs/heads/agent/x/y")})), "grant");
}

TEST(DecideGit, ARefOutsideThePatternsIsRefusedEvenBesideAGoodOne) {
    const World world(profile(std::string(kGit)));

    for (const char* ref : {"refs/heads/main", "refs/heads/agent", "refs/heads/agentx", "refs/heads/Agent/x",
                            "refs/tags/agent/x", "agent/x", "HEAD", "", "refs/heads/agent/"}) {
        SCOPED_TRACE(ref);
        expect_refused(world.decide(push(kPush, {created(ref)})), "resource_outside", "resources.ref");
        expect_refused(world.decide(push(kPush, {created("refs/heads/agent/x"), created(ref)})), "resource_outside",
                       "resources.ref");
    }
}

TEST(DecideGit, AnotherRepositoryIsRefused) {
    const World world(profile(std::string(kGit)));

    expect_refused(world.decide(push("https://git.quickstart.test/git/other.git/git-receive-pack",
                                     {created("refs/heads/agent/x")})),
                   "resource_outside", "resources.repo");
    expect_refused(world.decide(request("POST", "https://git.quickstart.test/git/demo/git-upload-pack")),
                   "resource_outside", "resources.repo");
}

TEST(DecideGit, APushThatWasNotReadIsRefused) {
    const World world(profile(std::string(kGit)));

    expect_refused(world.decide(request("POST", kPush)), "operation_unknown", "");
}

// git asks with four bytes whether it may push before it sends much.
TEST(DecideGit, APushOfNothingIsAllowedWithTheScope) {
    expect_allowed(World(profile(std::string(kGit))).decide(push(kPush, {})), "grant");

    World reader(profile(std::string(kGit)));
    reader.mission.services[0].implied = {"fetch"};
    expect_refused(reader.decide(push(kPush, {})), "scope_missing", "grant");
    expect_refused(reader.decide(request("GET", std::string(kRepo) + "/info/refs?service=git-receive-pack")),
                   "scope_missing", "grant");
}

TEST(DecideGit, ADeletionNeedsItsOwnScope) {
    World world(profile(std::string(kGit)));
    const Request remove = push(kPush, {deleted("refs/heads/agent/x")});

    expect_refused(world.decide(remove), "scope_missing", "grant");
    world.mission.services[0].implied = {"fetch", "push", "push:delete"};
    expect_allowed(world.decide(remove), "grant");
}

// Whether an update rewrites history cannot be seen in a push: where no ref is named, that needs push:force.
TEST(DecideGit, ChangingARefNeedsForceWhereRefsAreUnbounded) {
    const std::string open =
        "[[service]]\nname = \"git\"\ncatalog = \"git-http\"\naccount = \"open-git\"\ngrant = [\"push\"]\n";
    const std::string url = "https://git.open.test/demo.git/git-receive-pack";
    const World world(profile(open));

    expect_allowed(world.decide(push(url, {created("refs/heads/topic")})), "grant");
    expect_refused(world.decide(push(url, {updated("refs/heads/main")})), "scope_missing", "grant");
    expect_refused(
        World(profile(open + "resources = { ref = [\"**\"] }\n")).decide(push(url, {updated("refs/heads/main")})),
        "scope_missing", "grant");
    expect_allowed(
        World(profile(open + "resources = { ref = [\"main\"] }\n")).decide(push(url, {updated("refs/heads/main")})),
        "grant");
    std::string forced = open;
    forced.replace(forced.find("\"push\""), 6, "\"push\", \"push:force\"");
    expect_allowed(World(profile(forced)).decide(push(url, {updated("refs/heads/main")})), "grant");
}

TEST(DecideGit, ARuleMayForbidDeletionsAlone) {
    std::string service(kGit);
    service.replace(service.find("\"push\""), 6, "\"push\", \"push:delete\"");
    const World world(
        profile(service + "[[rule]]\nverdict = \"deny\"\nservice = \"git\"\noperation = [\"git.push:delete\"]\n"));

    expect_refused(world.decide(push(kPush, {created("refs/heads/agent/a"), deleted("refs/heads/agent/x")})),
                   "rule_denied", "rule[0]");
    expect_allowed(world.decide(push(kPush, {created("refs/heads/agent/a")})), "grant");
}

TEST(DecideGit, ABatchOfGitLfsNeedsWhatItIsFor) {
    std::string reading(kGit);
    reading.erase(reading.find(", \"push\""), 8);
    Request batch = request("POST", std::string(kRepo) + "/info/lfs/objects/batch");
    const std::string any = "[[rule]]\nverdict = \"allow\"\nservice = \"git\"\nmatch = [\"POST /**\"]\n";
    for (const std::string& rules : {std::string(), any}) {
        expect_refused(World(profile(reading + rules)).decide(batch), "operation_unknown", "");
    }

    batch.lfs_operation = "upload";
    expect_refused(World(profile(reading)).decide(batch), "scope_missing", "grant");
    expect_allowed(World(profile(std::string(kGit))).decide(batch), "grant");
    batch.lfs_operation = "download";
    expect_allowed(World(profile(reading)).decide(batch), "grant");
}

TEST(DecideGit, TheRestOfAGitHostIsRefused) {
    const World world(profile(std::string(kGit)));

    for (const char* path : {"/HEAD", "/objects/info/packs", "/info/refs", "/info/lfs/objects/batch"}) {
        expect_refused(world.decide(request("GET", std::string(kRepo) + path)), "operation_unknown", "");
    }
}

// `issues:read` of each need of a warm service, with its one repository.
std::vector<std::string> needs_of(const std::string& lines) {
    const World world(profile(std::string(kGithub) + lines));
    std::vector<std::string> out;
    for (const WarmNeed& need : warm_needs(world.mission, world.catalog)) {
        std::string text = need.service + ":";
        for (const std::string& scope : need.scopes) text += " " + scope;
        for (const auto& [name, values] : need.resources) text += " " + name + "=" + values.front();
        out.push_back(text);
    }
    return out;
}

TEST(WarmNeeds, AreWhatMostReadsOfTheGrantNeed) {
    EXPECT_EQ(needs_of("warm = true\n"), std::vector<std::string>{"github: issues:read repo=acme/api"});
    EXPECT_TRUE(needs_of("").empty()) << "only of services that are marked";
    EXPECT_TRUE(needs_of("warm = true\nreuse = false\n").empty()) << "nobody could use it again";
}

TEST(WarmNeeds, AreNotGuessedWhereThereIsAChoiceOfResources) {
    for (const char* resources : {"[\"acme/api\", \"acme/site\"]", "[\"acme/*\"]"}) {
        std::string service = std::string(kGithub) + "warm = true\n";
        const std::string only = "[\"acme/api\"]";
        const World world(profile(service.replace(service.find(only), only.size(), resources)));
        EXPECT_TRUE(warm_needs(world.mission, world.catalog).empty()) << resources;
    }
}

}  // namespace
}  // namespace sanctum::profiles
