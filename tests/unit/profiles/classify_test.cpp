// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using namespace test;

const std::string kProfile = std::string(kHead) + std::string(kGit) + R"(
[[service]]
name = "github"
catalog = "github"
account = "alice"
grant = ["issues:write", "contents:write"]
resources = { repo = ["acme/api"] }
[[service]]
name = "model"
catalog = "anthropic"
account = "team"
grant = ["messages"]
[[host]]
name = "www.quickstart.test"
match = ["GET /**"]
[[host]]
name = "*.quickstart.test"
match = ["GET /x"]
)";

struct Row {
    const char* method;
    const char* url;
    const char* id;  ///< empty: unknown
};

TEST(Classify, KnowsTheFourRequestsOfGitAndTheBatchOfLfsAndNoOthers) {
    const World world(kProfile);
    for (const Row& row : {
             Row{"GET", "/info/refs?service=git-upload-pack", "git.fetch"},
             Row{"POST", "/git-upload-pack", "git.fetch"},
             Row{"GET", "/info/refs?service=git-receive-pack", "git.push"},
             Row{"POST", "/git-receive-pack", "git.push"},
             // the dumb protocol
             Row{"GET", "/info/refs", ""},
             Row{"GET", "/HEAD", ""},
             Row{"GET", "/objects/info/packs", ""},
             // `service=` twice, with company, or disguised (POL-18)
             Row{"GET", "/info/refs?service=git-upload-pack&service=git-receive-pack", ""},
             Row{"GET", "/info/refs?service=git-receive-pack&service=git-upload-pack", ""},
             Row{"GET", "/info/refs?service=git-upload-pack&x=1", ""},
             Row{"GET", "/info/refs?x=1&service=git-upload-pack", ""},
             Row{"GET", "/info/refs?service=git%2Dupload-pack", ""},
             Row{"GET", "/info/refs?Service=git-upload-pack", ""},
             Row{"GET", "/info/refs?service=git-upload-archive", ""},
             // other methods and queries
             Row{"HEAD", "/info/refs?service=git-upload-pack", ""},
             Row{"POST", "/info/refs?service=git-upload-pack", ""},
             Row{"GET", "/git-upload-pack", ""},
             Row{"POST", "/git-upload-pack?x=1", ""},
             Row{"PUT", "/git-receive-pack", ""},
             Row{"POST", "/git-upload-archive", ""},
             // git-lfs
             Row{"POST", "/info/lfs/objects/batch", "git.lfs:download"},
             Row{"GET", "/info/lfs/objects/batch", ""},
             Row{"POST", "/info/lfs/objects/batch?x=1", ""},
             Row{"POST", "/info/lfs/objects/aa", ""},
             Row{"POST", "/info/lfs/locks/verify", ""},
             Row{"GET", "/INFO/refs?service=git-upload-pack", ""},
         }) {
        SCOPED_TRACE(std::string(row.method) + " " + row.url);
        const Operation operation = world.classify(request(row.method, std::string(kRepo) + row.url));
        EXPECT_EQ(operation.id, row.id);
        EXPECT_EQ(operation.name, "git");
        EXPECT_EQ(operation.is_known, *row.id != '\0');
    }
}

TEST(Classify, ARepositoryIsThePathBelowTheBasePath) {
    const World world(kProfile);
    struct Place {
        const char* url;
        const char* repo;
    };
    for (const Place& place : {Place{"https://git.quickstart.test/git/demo.git/git-upload-pack", "demo.git"},
                               Place{"https://git.quickstart.test/git/team/app.git/git-upload-pack", "team/app.git"}}) {
        EXPECT_EQ(world.classify(request("POST", place.url)).resources.at("repo"),
                  std::vector<std::string>{place.repo});
    }
    for (const char* url :
         {"https://git.quickstart.test/demo.git/git-upload-pack",
          "https://git.quickstart.test/gitx/demo.git/git-upload-pack",
          "https://git.quickstart.test/git/git-upload-pack",
          "https://git.quickstart.test/git//demo.git/git-upload-pack",
          "https://git.quickstart.test/git/a%2Fb/git-upload-pack", "https://git.quickstart.test/git"}) {
        EXPECT_FALSE(world.classify(request("POST", url)).is_known) << url;
    }
}

TEST(Classify, GitHubsTwoNamesOfARepositoryAreOne) {
    const World world(kProfile);
    for (const char* url :
         {"https://github.com/acme/api.git/git-upload-pack", "https://github.com/acme/api/git-upload-pack"}) {
        const Operation operation = world.classify(request("POST", url));
        EXPECT_EQ(operation.resources.at("repo"), std::vector<std::string>{"acme/api"}) << url;
        EXPECT_EQ(operation.needed, (std::vector<std::vector<std::string>>{{"contents:read"}}));
    }
}

TEST(Classify, APushIsNotKnownBeforeItsCommandsAreRead) {
    const World world(kProfile);
    const Request unread = request("POST", std::string(kRepo) + "/git-receive-pack");

    EXPECT_TRUE(world.classify(unread).needs_push_commands);
    EXPECT_FALSE(world.classify(push(std::string(kRepo) + "/git-receive-pack", {})).needs_push_commands);
    EXPECT_FALSE(
        world.classify(request("GET", std::string(kRepo) + "/info/refs?service=git-receive-pack")).needs_push_commands);
}

TEST(Classify, WhatABatchOfGitLfsIsForIsNotKnownBeforeItIsRead) {
    const World world(kProfile);
    Request batch = request("POST", std::string(kRepo) + "/info/lfs/objects/batch");

    EXPECT_TRUE(world.classify(batch).needs_lfs_operation);
    batch.lfs_operation = "upload";
    const Operation upload = world.classify(batch);
    EXPECT_FALSE(upload.needs_lfs_operation);
    EXPECT_EQ(upload.id, "git.lfs:upload");
    EXPECT_EQ(upload.needed, (std::vector<std::vector<std::string>>{{"push"}}));
    batch.lfs_operation = "download";
    const Operation download = world.classify(batch);
    EXPECT_EQ(download.needed, (std::vector<std::vector<std::string>>{{"fetch"}}));
    EXPECT_EQ(download.redact,
              (std::vector<std::string>{"/objects/*/actions/*/href", "/objects/*/actions/*/header/*"}));
}

TEST(Classify, APushNamesEveryRef) {
    const World world(kProfile);

    const Operation operation = world.classify(
        push(std::string(kRepo) + "/git-receive-pack", {created("refs/heads/agent/x"), updated("refs/heads/main")}));

    EXPECT_EQ(operation.resources.at("ref"), (std::vector<std::string>{"refs/heads/agent/x", "refs/heads/main"}));
    EXPECT_EQ(operation.says, "Push to demo.git: refs/heads/agent/x, refs/heads/main");
}

TEST(Classify, ADeletionNeedsItsOwnScope) {
    const World world(kProfile);

    const Operation operation =
        world.classify(push(std::string(kRepo) + "/git-receive-pack", {deleted("refs/heads/agent/x")}));

    EXPECT_EQ(operation.needed, (std::vector<std::vector<std::string>>{{"push", "push:delete"}}));
}

TEST(Classify, FindsOperationsOfAnApi) {
    const World world(kProfile);

    const Operation operation = world.classify(request("PUT", "https://api.github.com/repos/acme/api/issues/7/lock"));

    EXPECT_EQ(operation.id, "issues/lock");
    EXPECT_EQ(operation.resources.at("repo"), std::vector<std::string>{"acme/api"});
    EXPECT_EQ(operation.risk, Risk::Medium);
    EXPECT_EQ(operation.says, "Lock issue 7 of acme/api");
}

// CRED-09: what mints or shows credentials is in no shipped entry.
TEST(Classify, RequestsThatMintCredentialsAreUnknown) {
    const World world(kProfile);
    for (const Row& row : {
             Row{"POST", "https://api.github.com/app/installations/1/access_tokens", ""},
             Row{"POST", "https://api.github.com/graphql", ""},
             Row{"POST", "https://api.github.com/repos/acme/api/keys", ""},
             Row{"GET", "https://api.github.com/repos/acme/api/actions/secrets", ""},
             Row{"POST", "https://api.github.com/repos/acme/api/hooks", ""},
             Row{"POST", "https://api.github.com/repos/acme/api/actions/runners/registration-token", ""},
             Row{"GET", "https://api.anthropic.com/v1/organizations/api_keys", ""},
             Row{"POST", "https://api.anthropic.com/v1/oauth/token", ""},
             Row{"POST", "https://github.com/login/oauth/access_token", ""},
         }) {
        EXPECT_FALSE(world.classify(request(row.method, row.url)).is_known) << row.url;
    }
}

TEST(Classify, NamesWhatHasToBeTakenOutOfAResponse) {
    const World world(kProfile);

    EXPECT_EQ(world.classify(request("GET", "https://api.github.com/repos/acme/api")).redact,
              std::vector<std::string>{"/temp_clone_token"});
}

TEST(Classify, AnExactHostWinsOverAWildcard) {
    const World world(kProfile);

    EXPECT_EQ(world.classify(request("GET", "https://www.quickstart.test/")).name, "www.quickstart.test");
    EXPECT_EQ(world.classify(request("GET", "https://other.quickstart.test/")).name, "*.quickstart.test");
    EXPECT_EQ(world.classify(request("GET", "https://git.quickstart.test/")).name, "git");
}

TEST(Classify, AnotherHostIsNobodys) {
    const World world(kProfile);
    for (const char* url : {"https://example.org/", "https://quickstart.test/",
                            "https://www.quickstart.test.evil.test/", "https://xwww.quickstart.testx/"}) {
        const Operation operation = world.classify(request("GET", url));
        EXPECT_EQ(operation.service, -1) << url;
        EXPECT_EQ(operation.host, -1) << url;
        EXPECT_FALSE(operation.is_known) << url;
    }
}

}  // namespace
}  // namespace sanctum::profiles
