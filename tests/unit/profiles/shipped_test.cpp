// SPDX-License-Identifier: Apache-2.0
// What is shipped: every mission resolves, every catalog entry opens, and the quickstart does what it promises.
#include "base/files.hpp"
#include "base/limits.hpp"
#include "world.hpp"

#include <filesystem>
#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using namespace test;

OperatorConfig config_for_missions() {
    OperatorConfig config = operator_config();
    const auto account = [&](const char* name, const char* catalog, std::vector<std::string> hosts) {
        Account& added = config.accounts.emplace_back();
        added.name = name;
        added.catalog = catalog;
        added.hosts = std::move(hosts);
        added.place = "config.toml:1";
    };
    account("anthropic", "anthropic", {});
    account("openai", "openai", {});
    account("git", "git-http", {"git.example.org"});
    return config;
}

class ShippedMission : public ::testing::TestWithParam<const char*> {};

TEST_P(ShippedMission, ResolvesWithItsAccount) {
    const std::string path = std::string(SANCTUM_BINARY_DIR) + "/share/sanctum/profiles/" + GetParam() + ".toml";
    const Result<std::string> text = read_file(path, kSmallFileBytesMax);
    ASSERT_TRUE(text.has_value());
    const Result<Profile> profile = load_profile(path, *text);
    ASSERT_TRUE(profile.has_value()) << profile.error().what;
    const Result<CatalogSet> catalog = load_catalog(*profile, places_below("/nonexistent"));
    ASSERT_TRUE(catalog.has_value()) << catalog.error().what;

    const Result<Mission> mission = resolve_mission(*profile, config_for_missions(), *catalog, {}, caller(), "id");

    ASSERT_TRUE(mission.has_value()) << mission.error().what;
    // Shipped profiles ask only for limits that every machine has.
    EXPECT_FALSE(mission->sandbox.limits.cpus_milli.has_value());
    EXPECT_FALSE(exposure_line(*mission, *catalog).empty());
}

INSTANTIATE_TEST_SUITE_P(All, ShippedMission, ::testing::Values("claude", "codex", "generic", "git", "quickstart"));

class ShippedEntry : public ::testing::TestWithParam<const char*> {};

CompiledEntry shipped(const char* name) {
    const Result<std::string> bytes =
        read_file(std::string(SANCTUM_BINARY_DIR) + "/share/sanctum/catalog/" + name + ".entry", kMemfdBytesMax);
    EXPECT_TRUE(bytes.has_value());
    Result<CompiledEntry> entry = CompiledEntry::open(*bytes);
    EXPECT_TRUE(entry.has_value());
    return std::move(*entry);
}

TEST_P(ShippedEntry, SaysOfEveryOperationWhatItNeedsAndDoes) {
    const CompiledEntry entry = shipped(GetParam());

    EXPECT_EQ(entry.name(), GetParam());
    EXPECT_FALSE(entry.operation_ids().empty());
    for (const std::string_view id : entry.operation_ids()) {
        const auto operation = entry.operation(id);
        ASSERT_TRUE(operation.has_value()) << id;
        EXPECT_TRUE(operation->is_scoped) << id;
        for (const auto& set : operation->any_of) EXPECT_FALSE(set.empty()) << id << " needs nothing";
    }
}

// A credential never goes to a host that somebody else could own.
TEST_P(ShippedEntry, NamesHostsOneByOneAndStripsTheirCredential) {
    for (const Endpoint& endpoint : shipped(GetParam()).endpoints()) {
        for (const std::string& host : endpoint.hosts) EXPECT_EQ(host.find('*'), std::string::npos);
        EXPECT_NE(endpoint.form, AuthForm::None);
        EXPECT_NE(std::find(endpoint.strip.begin(), endpoint.strip.end(), "authorization"), endpoint.strip.end());
        EXPECT_NE(std::find(endpoint.strip.begin(), endpoint.strip.end(), "cookie"), endpoint.strip.end());
    }
}

INSTANTIATE_TEST_SUITE_P(All, ShippedEntry,
                         ::testing::Values("anthropic", "aws-s3", "git-http", "github", "google-storage",
                                           "http-bearer", "openai"),
                         [](const auto& tested) {
                             std::string name = tested.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

// Writing anything is at least medium, destroying is high; what only reads is low.
TEST(ShippedEntries, RiskFollowsTheMethod) {
    const CompiledEntry github = shipped("github");
    for (const char* path : {"/repos/o/r", "/repos/o/r/issues", "/repos/o/r/labels/x"}) {
        EXPECT_EQ(github.find("api", "GET", path, "")->risk, Risk::Low) << path;
    }
    EXPECT_EQ(github.find("api", "POST", "/repos/o/r/issues", "")->risk, Risk::Medium);
    EXPECT_EQ(github.find("api", "DELETE", "/repos/o/r/labels/x", "")->risk, Risk::High);
    EXPECT_EQ(shipped("http-bearer").find("api", "DELETE", "/x", "")->risk, Risk::High);
    EXPECT_EQ(shipped("http-bearer").find("api", "PROPFIND", "/x", "")->id, "write");
}

TEST(ShippedEntries, ObjectsOfCloudStorageAreBoundedByTheirWholeName) {
    using Resources = std::vector<std::pair<std::string_view, std::string>>;
    const CompiledEntry storage = shipped("google-storage");
    const auto found = [&](const char* method, const char* path, const char* query = "") {
        return storage.find("storage", method, path, query).value();
    };
    EXPECT_EQ(found("GET", "/b/in/a%20b.txt").resources, (Resources{{"bucket", "b"}, {"object", "in/a b.txt"}}));
    EXPECT_EQ(found("GET", "/b/in/a%20b.txt").says, "Read in/a b.txt in b");
    EXPECT_EQ(found("PUT", "/b/x").id, "objects/put");
    EXPECT_EQ(found("GET", "/storage/v1/b/c/o").resources, (Resources{{"bucket", "c"}}));
    EXPECT_EQ(found("POST", "/upload/storage/v1/b/c/o", "name=in/x").resources,
              (Resources{{"bucket", "c"}, {"object", "in/x"}}));
    EXPECT_EQ(found("POST", "/upload/storage/v1/b/c/o").resources[1].second, "") << "no name is no object";
    // Not an object `v1/b/c/iam` in a bucket called `storage`.
    for (const char* method : {"GET", "PUT", "DELETE"}) {
        EXPECT_EQ(found(method, "/storage/v1/b/c/iam").any_of.at(0).at(0), "json-api") << method;
        EXPECT_EQ(found(method, "/upload/storage/v1/b/c/o/x").any_of.at(0).at(0), "json-api") << method;
    }
    EXPECT_FALSE(storage.find("storage", "GET", "/b", "").has_value()) << "a bucket itself";
    const std::vector<std::string> strip = storage.endpoints().at(0).strip;
    EXPECT_NE(std::find(strip.begin(), strip.end(), "x-goog-copy-source"), strip.end()) << "it reads elsewhere";
    EXPECT_FALSE(storage.find("storage", "POST", "/b/x", "").has_value());
}

TEST(ShippedEntries, EveryOperationOfGitHubsApiIsBoundedByRepository) {
    const CompiledEntry github = shipped("github");
    for (const std::string_view id : github.operation_ids()) {
        const auto operation = github.operation(id);
        const bool is_refinement = id == "git.push:delete" || id == "git.push:force";
        const bool has_repo = std::any_of(operation->resources.begin(), operation->resources.end(),
                                          [](const auto& resource) { return resource.first == "repo"; });
        EXPECT_TRUE(has_repo || is_refinement) << id;
    }
}

TEST(Quickstart, AllowsItsWorkAndNothingElse) {
    const Result<std::string> text =
        read_file(std::string(SANCTUM_SOURCE_DIR) + "/profiles/missions/quickstart.toml", kSmallFileBytesMax);
    ASSERT_TRUE(text.has_value());
    const World world(*text);
    const std::string repo = "https://git.quickstart.test/git/demo.git";

    EXPECT_EQ(world.decide(request("GET", repo + "/info/refs?service=git-upload-pack")).verdict, Verdict::Allow);
    EXPECT_EQ(world.decide(push(repo + "/git-receive-pack", {created("refs/heads/agent/x")})).verdict, Verdict::Allow);
    EXPECT_EQ(world.decide(request("GET", "https://www.quickstart.test/index.html")).verdict, Verdict::Allow);
    EXPECT_EQ(world.decide(push(repo + "/git-receive-pack", {updated("refs/heads/main")})).reason, "resource_outside");
    EXPECT_EQ(world.decide(request("GET", "https://example.org/")).reason, "host_unknown");
    EXPECT_EQ(world.decide(request("POST", "https://www.quickstart.test/index.html")).reason, "operation_unknown");
}

}  // namespace
}  // namespace sanctum::profiles
