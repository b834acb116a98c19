// SPDX-License-Identifier: Apache-2.0
#include "base/digest.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using namespace test;

std::string profile(const std::string& rest) { return std::string(kHead) + rest; }

TEST(ResolveMission, TheSmallestProfileIsCompleteAndClosed) {
    const World world(profile(""));

    EXPECT_EQ(world.mission.name, "test");
    EXPECT_EQ(world.mission.agent, "test");
    EXPECT_EQ(world.mission.ttl_ms, 1'800'000);
    EXPECT_EQ(world.mission.sandbox.workspace, "/work");
    EXPECT_TRUE(world.mission.sandbox.environment.empty());
    EXPECT_TRUE(dial_entries(world.mission).empty());
    EXPECT_EQ(world.mission.approval.high, Verdict::Ask);
    EXPECT_EQ(world.mission.approval.critical, Verdict::StepUp);
    EXPECT_EQ(world.mission.sandbox.limits.missing, MissingLimits::Refuse);
    EXPECT_EQ(world.mission.sandbox.runs_later, RunsLater::Hold);
}

TEST(ResolveMission, TheHashIsOfTheTextThatWasRead) {
    const std::string text = profile("");

    EXPECT_EQ(World(text).mission.profile_sha256, wire::to_hex(sha256(text)));
}

TEST(ResolveMission, ACredentialsHostsComeFromTheAccount) {
    const World world(profile(std::string(kGit)));

    ASSERT_EQ(world.mission.services[0].endpoints.size(), 1U);
    const Endpoint& endpoint = world.mission.services[0].endpoints[0];
    EXPECT_EQ(endpoint.hosts, std::vector<std::string>{"git.quickstart.test"});
    EXPECT_EQ(endpoint.base_path, "/git");
    EXPECT_EQ(endpoint.username, "agent");
    EXPECT_EQ(endpoint.form, AuthForm::Basic);
    EXPECT_FALSE(endpoint.plain_http);
}

// A service of an account whose provider binds tokens to something, or does not.
enum class Bound : std::uint8_t { ToNothing, ToKey, ToCertificate };
Result<Mission> resolve_with_provider(const std::string& catalog_entry, const std::string& grant, Bound bound,
                                      const std::vector<std::string>& plain_http = {}) {
    SANCTUM_TRY(const Profile read, load_profile("mission.toml", profile("[[service]]\nname = \"s\"\ncatalog = \"" +
                                                                         catalog_entry + "\"\naccount = \"bound\"\n"
                                                                         "grant = [\"" + grant + "\"]\n")));
    SANCTUM_TRY(const CatalogSet entries, load_catalog(read, places_below("/nonexistent")));
    OperatorConfig config = operator_config();
    Account& account = config.accounts.emplace_back();
    account.name = "bound";
    account.catalog = catalog_entry;
    account.hosts = {"api.bound.test"};
    account.source = "oauth";
    account.provider.client = "corp";
    account.place = "config.toml:90";
    IdentityClient& client = config.clients.emplace_back();
    client.name = "corp";
    client.dpop = bound == Bound::ToKey;
    client.certificate_bound = bound == Bound::ToCertificate;
    config.upstream.plain_http = plain_http;
    return resolve_mission(read, config, entries, {}, caller(), "01hzy3v7q8r9s0t1v2w3x4y5z6");
}

TEST(ResolveMission, ABearerTokenOfAProviderThatBindsTokensGoesOutWithAProof) {
    const Result<Mission> bound = resolve_with_provider("http-bearer", "read", Bound::ToKey);
    ASSERT_TRUE(bound.has_value()) << bound.error().what;
    EXPECT_EQ(bound->services[0].endpoints[0].form, AuthForm::Dpop);
    EXPECT_NE(explain_mission(*bound).find("with a proof of it"), std::string::npos);
    const Result<Mission> plain = resolve_with_provider("http-bearer", "read", Bound::ToNothing);
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(plain->services[0].endpoints[0].form, AuthForm::Bearer);
}

TEST(ResolveMission, ABearerTokenThatIsBoundToACertificateGoesOutWhereItIsShown) {
    const Result<Mission> bound = resolve_with_provider("http-bearer", "read", Bound::ToCertificate);
    ASSERT_TRUE(bound.has_value()) << bound.error().what;
    EXPECT_EQ(bound->services[0].endpoints[0].form, AuthForm::Certificate);
    EXPECT_NE(explain_mission(*bound).find("on connections that show it"), std::string::npos);

    const auto plain = resolve_with_provider("http-bearer", "read", Bound::ToCertificate, {"api.bound.test"});
    ASSERT_FALSE(plain.has_value());
    const std::string& why = plain.error().what;
    EXPECT_NE(why.find("api.bound.test is reached without TLS"), std::string::npos) << why;
    EXPECT_TRUE(resolve_with_provider("http-bearer", "read", Bound::ToNothing, {"api.bound.test"}).has_value());
}

TEST(ResolveMission, ABoundTokenIsRefusedWhereItWouldGoOutAsSomethingElse) {
    for (const Bound bound : {Bound::ToKey, Bound::ToCertificate}) {
        const Result<Mission> mission = resolve_with_provider("git-http", "fetch", bound);
        ASSERT_FALSE(mission.has_value());
        EXPECT_NE(mission.error().what.find("takes them as basic"), std::string::npos) << mission.error().what;
    }
    EXPECT_TRUE(resolve_with_provider("git-http", "fetch", Bound::ToNothing).has_value());
}

TEST(ResolveMission, WhatTheAgentSendsAsACredentialIsAlwaysStripped) {
    const World world(profile(
        "[[service]]\nname = \"model\"\ncatalog = \"anthropic\"\naccount = \"team\"\ngrant = [\"messages\"]\n"));

    EXPECT_EQ(world.mission.services[0].endpoints[0].strip,
              (std::vector<std::string>{"authorization", "cookie", "proxy-authorization", "x-api-key"}));
}

constexpr std::string_view kLogin = R"(
[[service]]
name = "model"
catalog = "claude"
account = "subscription"
grant = ["messages"]
)";

TEST(ResolveMission, ACapturedLoginIsAScopeOfItsOwn) {
    const World world(profile(std::string(kLogin) + "login = \"capture\"\n"));
    const Service& service = world.mission.services[0];

    EXPECT_TRUE(service.captures_login);
    ASSERT_TRUE(service.login);
    EXPECT_EQ(service.login->token_endpoint, "https://platform.claude.com/v1/oauth/token");
    EXPECT_EQ(service.grant, (std::vector<std::string>{"login", "messages"}));
    const Operation operation = world.classify(request("POST", "https://platform.claude.com/v1/oauth/token"));
    EXPECT_TRUE(operation.is_login);
    EXPECT_EQ(world.decide(request("POST", "https://platform.claude.com/v1/oauth/token")).verdict, Verdict::Allow);
}

TEST(ResolveMission, WithoutCapturingATokenEndpointIsOutOfReachAndStillNoOrdinaryOperation) {
    const World world{profile(std::string(kLogin))};

    EXPECT_FALSE(world.mission.services[0].captures_login);
    EXPECT_TRUE(world.classify(request("POST", "https://platform.claude.com/v1/oauth/token")).is_login);
    EXPECT_FALSE(world.classify(request("POST", "https://platform.claude.com/v1/oauth/other")).is_login);
    EXPECT_EQ(world.decide(request("POST", "https://platform.claude.com/v1/oauth/token")).reason, "scope_missing");
}

TEST(ResolveMission, ShortRefsMeanBranches) {
    std::string service(kGit);
    service.replace(service.find("\"agent/**\""), 10, "\"agent/**\", \"refs/tags/v*\"");
    EXPECT_FALSE(resolve(profile(service)).has_value()) << "v* is half a segment";

    service.replace(service.find("v*"), 2, "*");
    EXPECT_EQ(World(profile(service)).mission.services[0].resources.at("ref"),
              (std::vector<std::string>{"refs/heads/agent/**", "refs/tags/*"}));
}

TEST(ResolveMission, ImpliedScopesNeverExceedTheAccount) {
    OperatorConfig config = operator_config();
    config.accounts[2].grant = {"issues:write"};
    const Result<Profile> loaded = load_profile(
        "m.toml",
        profile(
            "[[service]]\nname = \"github\"\ncatalog = \"github\"\naccount = \"alice\"\ngrant = [\"issues:write\"]\n"));
    ASSERT_TRUE(loaded.has_value());
    const Result<CatalogSet> catalog = load_catalog(*loaded, places_below("/nonexistent"));

    const Result<Mission> mission = resolve_mission(*loaded, config, *catalog, {}, caller(), "id");

    ASSERT_TRUE(mission.has_value()) << mission.error().what;
    EXPECT_EQ(mission->services[0].implied, (std::vector<std::string>{"issues:read", "issues:write", "metadata:read"}));
}

TEST(ResolveMission, AnImpliedScopeOfTheAccountMayBeGranted) {
    const std::string github =
        "[[service]]\nname = \"github\"\ncatalog = \"github\"\naccount = \"alice\"\ngrant = [\"issues:read\"]\n";
    OperatorConfig config = operator_config();
    config.accounts[2].grant = {"issues:write"};
    const Result<Profile> loaded = load_profile("m.toml", profile(github));
    const Result<CatalogSet> catalog = load_catalog(*loaded, places_below("/nonexistent"));

    EXPECT_TRUE(resolve_mission(*loaded, config, *catalog, {}, caller(), "id").has_value());
    config.accounts[2].grant = {"metadata:read"};
    EXPECT_EQ(resolve_mission(*loaded, config, *catalog, {}, caller(), "id").error().code, Errc::Denied);
}

TEST(ResolveMission, BoundsThatTheProfileDoesNotMentionApply) {
    OperatorConfig config = operator_config();
    config.bounds.high = Verdict::Deny;
    config.bounds.critical = Verdict::Deny;
    const Result<Profile> loaded = load_profile("m.toml", profile(""));

    const Result<Mission> mission = resolve_mission(*loaded, config, {}, {}, caller(), "id");

    ASSERT_TRUE(mission.has_value());
    EXPECT_EQ(mission->approval.high, Verdict::Deny);
}

TEST(ResolveMission, NoAgentStartsMissionsWhereTheOperatorForbidsIt) {
    const std::string with = profile("");
    std::string delegating = with;
    delegating.insert(delegating.find("[mission]") + std::string_view("[mission]").size(), "\ndelegate = true");
    OperatorConfig config = operator_config();
    const Result<Profile> quiet = load_profile("m.toml", with);
    const Result<Profile> loaded = load_profile("m.toml", delegating);

    EXPECT_TRUE(resolve_mission(*loaded, config, {}, {}, caller(), "id").value().delegate);
    config.bounds.delegate = false;
    const Result<Mission> denied = resolve_mission(*loaded, config, {}, {}, caller(), "id");
    ASSERT_FALSE(denied.has_value());
    EXPECT_EQ(denied.error().code, Errc::Denied);
    EXPECT_NE(denied.error().what.find("above the operator's bound"), std::string::npos);
    EXPECT_TRUE(resolve_mission(*quiet, config, {}, {}, caller(), "id").has_value());
    Overrides overrides;
    overrides.settings = {"mission.delegate=true"};
    EXPECT_FALSE(resolve_mission(*quiet, config, {}, overrides, caller(), "id").has_value()) << "nor a flag";
}

TEST(ResolveMission, AboveTheBoundsIsDeniedAndNotJustWrong) {
    std::string long_run(kHead);
    long_run.replace(long_run.find("30m"), 3, "3h");

    EXPECT_EQ(resolve(long_run).error().code, Errc::Denied);
    EXPECT_EQ(resolve(long_run + "[[host]]\nname = \"a.test\"\nmatch = [\"GET /**\"]\n[[rule]]\nverdict = "
                                 "\"deny\"\nhost = \"b.test\"\nmatch = [\"GET /\"]\n")
                  .error()
                  .code,
              Errc::InvalidProfile);
}

TEST(ResolveMission, PathsAreCompletedFromTheCaller) {
    const World world(
        profile("[sandbox]\nworkspace = \"src\"\nread = [\"~/.gitconfig\", \"../shared\"]\nwrite = "
                "[\"/var/cache/x\"]\nhome = \"kept\"\n"));
    const Sandbox& sandbox = world.mission.sandbox;

    EXPECT_EQ(sandbox.workspace, "/work/src");
    ASSERT_EQ(sandbox.mounts.size(), 3U);
    EXPECT_EQ(sandbox.mounts[0].source, "/home/alice/.gitconfig");
    EXPECT_FALSE(sandbox.mounts[0].writable);
    EXPECT_EQ(sandbox.mounts[1].target, "/shared");
    EXPECT_TRUE(sandbox.mounts[2].writable);
    EXPECT_EQ(sandbox.home_store, "/home/alice/.local/state/sanctum/homes/test");
}

TEST(ResolveMission, AWorkspaceThatIsNamedAsOneToReadIsReadOnly) {
    const World world(profile("[sandbox]\nworkspace = \"src\"\nread = [\"src\"]\n"));

    EXPECT_FALSE(world.mission.sandbox.workspace_writable);
    EXPECT_TRUE(world.mission.sandbox.mounts.empty());
    EXPECT_TRUE(World(profile("[sandbox]\nread = [\"src\"]\n")).mission.sandbox.workspace_writable);
}

TEST(ResolveMission, VariablesArePassedSetAndPresented) {
    const World world(
        profile("[[service]]\nname = \"github\"\ncatalog = \"github\"\naccount = \"alice\"\ngrant = []\npresent = { "
                "GH_TOKEN = true, OTHER = \"x\" }\n"
                "[sandbox]\nenvironment = { pass = [\"LANG\", \"ABSENT\"], set = { CI = \"1\", EMPTY = \"\" } }\n"));

    EXPECT_EQ(world.mission.sandbox.environment,
              (std::map<std::string, std::string>{
                  {"CI", "1"}, {"EMPTY", ""}, {"GH_TOKEN", "ghp_heldBySanctum"}, {"LANG", "C.UTF-8"}, {"OTHER", "x"}}));
}

// The caller's GH_TOKEN is a real one; only the placeholder may be seen.
TEST(ResolveMission, AValueOfTheCallerNeverReplacesAPlaceholder) {
    const World world(
        profile("[[service]]\nname = \"github\"\ncatalog = \"github\"\naccount = \"alice\"\ngrant = []\npresent = { "
                "GH_TOKEN = true }\n"));

    EXPECT_EQ(wire::to_json(world.mission).find("canary"), std::string::npos);
}

TEST(ResolveMission, LimitsAreInTheirUnits) {
    const World world(
        profile("[sandbox]\nlimits = { memory = \"2GiB\", processes = 256, cpus = 1.5, file_size = \"1GiB\", "
                "open_files = 512, missing = \"accept\" }\n"));
    const SandboxLimits& limits = world.mission.sandbox.limits;

    EXPECT_EQ(limits.memory_bytes, 2ULL << 30U);
    EXPECT_EQ(limits.processes, 256U);
    EXPECT_EQ(limits.cpus_milli, 1500U);
    EXPECT_EQ(limits.file_bytes, 1ULL << 30U);
    EXPECT_EQ(limits.open_files, 512U);
    EXPECT_EQ(limits.missing, MissingLimits::Accept);
}

TEST(Overrides, ChangeTheProfileAndAreRecorded) {
    const Overrides overrides{
        .settings = {"sandbox.limits.memory=1GiB", "approval.high=deny", "approval.critical=\"deny\"",
                     "service.git.grant=[\"fetch\"]", "mission.purpose=\"two words\""},
        .environment = {"TERM", "CI=1"},
        .mounts = {"~/data:/data:ro", "/x:/y"},
        .ttl = "10m",
        .name = "nightly"};
    const World world(profile(std::string(kGit)), overrides);

    EXPECT_EQ(world.mission.ttl_ms, 600'000);
    EXPECT_EQ(world.mission.name, "nightly");
    EXPECT_EQ(world.mission.sandbox.limits.memory_bytes, 1ULL << 30U);
    EXPECT_EQ(world.mission.approval.high, Verdict::Deny);
    EXPECT_EQ(world.mission.services[0].grant, std::vector<std::string>{"fetch"});
    EXPECT_EQ(world.mission.purpose, "two words");
    EXPECT_EQ(world.mission.sandbox.environment, (std::map<std::string, std::string>{{"CI", "1"}, {"TERM", "xterm"}}));
    ASSERT_EQ(world.mission.sandbox.mounts.size(), 2U);
    EXPECT_EQ(world.mission.sandbox.mounts[0].source, "/home/alice/data");
    EXPECT_EQ(world.mission.sandbox.mounts[0].target, "/data");
    EXPECT_FALSE(world.mission.sandbox.mounts[0].writable);
    EXPECT_TRUE(world.mission.sandbox.mounts[1].writable);
    EXPECT_EQ(
        world.mission.overrides,
        (std::vector<std::string>{"sandbox.limits.memory=1GiB", "approval.high=deny", "approval.critical=\"deny\"",
                                  "service.git.grant=[\"fetch\"]", "mission.purpose=\"two words\"", "-e TERM",
                                  "-e CI=(not recorded)", "--mount ~/data:/data:ro", "--mount /x:/y", "ttl=10m",
                                  "name=nightly"}));
}

TEST(Overrides, GiveATtlThatTheFileLeavesOut) {
    const std::string without = "schema = 1\n[mission]\nname = \"test\"\n";

    EXPECT_FALSE(resolve(without).has_value());
    EXPECT_TRUE(
        resolve(without, {.settings = {}, .environment = {}, .mounts = {}, .ttl = "10m", .name = {}}).has_value());
}

TEST(Overrides, OfVariablesReplaceWhatTheFileSays) {
    const std::string file = profile("[sandbox.environment]\npass = [\"LANG\"]\nset = { CI = \"0\" }\n");

    const World world(
        file, {.settings = {}, .environment = {"LANG=de", "CI=1", "CI=2"}, .mounts = {}, .ttl = {}, .name = {}});

    EXPECT_EQ(world.mission.sandbox.environment, (std::map<std::string, std::string>{{"CI", "2"}, {"LANG", "de"}}));
}

TEST(VaultConfig, HoldsOnlyTheAccountsOfTheMission) {
    const World world(profile(std::string(kGit)));

    const VaultConfig config = vault_config_for(world.mission, operator_config(), places_below("/x"));

    ASSERT_EQ(config.accounts.size(), 1U);
    EXPECT_EQ(config.accounts[0].name, "quickstart");
    EXPECT_EQ(config.store, "/x/data/sanctum/store.sealed");
}

// The agent reads it: neither accounts, places, reasons nor the operator's files may be in it.
TEST(PolicyJson, TellsTheAgentItsRulesAndNothingOfTheOperator) {
    const World world(profile(
        std::string(kGit) +
        "[[rule]]\nverdict = \"deny\"\nservice = \"git\"\noperation = [\"git.fetch\"]\nreason = \"canary-reason\"\n"));

    const std::string json = policy_json(world.mission);

    EXPECT_NE(json.find("\"schema\":\"sanctum.policy/1\""), std::string::npos);
    EXPECT_NE(json.find("git.quickstart.test"), std::string::npos);
    for (const char* hidden : {"canary-reason", "quickstart\"", "mission.toml", "config.toml", "agent\",\"password"}) {
        EXPECT_EQ(json.find(hidden), std::string::npos) << hidden;
    }
}

}  // namespace
}  // namespace sanctum::profiles
