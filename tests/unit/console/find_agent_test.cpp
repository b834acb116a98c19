// SPDX-License-Identifier: Apache-2.0
#include "console/find_agent.hpp"

#include "console/request_url.hpp"
#include "tests/unit/console/console_fixture.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>

namespace sanctum::console::test {
namespace {

class FindAgent : public ConsoleTest {
protected:
    void install(const std::string& below_home, const std::string& text = "#!/bin/sh\n") {
        write(home() + below_home, text);
        ::chmod((home() + below_home).c_str(), 0755);
    }
    void link(const std::string& from, const std::string& to) {
        std::filesystem::create_directories(std::filesystem::path(home() + from).parent_path());
        std::filesystem::create_symlink(home() + to, home() + from);
    }
    [[nodiscard]] std::string home() const { return std::filesystem::canonical(folder_).string() + "/home"; }
    [[nodiscard]] FoundProgram find(const std::string& name) const { return find_program(name, {"/usr/bin", home()}); }
};

TEST_F(FindAgent, AVersionBehindALinkNeedsBothPlaces) {
    install("/.local/share/claude/versions/1.0");
    link("/.local/bin/claude", "/.local/share/claude/versions/1.0");

    const FoundProgram found = find("claude");

    EXPECT_EQ(found.path, home() + "/.local/bin/claude");
    EXPECT_THAT(found.read, ::testing::ElementsAre(home() + "/.local/bin/claude",
                                                   home() + "/.local/share/claude/versions/1.0"));
    EXPECT_THAT(found.path_folders, ::testing::ElementsAre(home() + "/.local/bin"));
}

TEST_F(FindAgent, APackageOfNvmNeedsItsVersionsProgramsAndPackages) {
    const std::string version = "/.nvm/versions/node/v22.1.0";
    install(version + "/bin/node", "\x7f" "ELF");
    install(version + "/lib/node_modules/@openai/codex/bin/codex.js", "#!/usr/bin/env node\n");
    link(version + "/bin/codex", version + "/lib/node_modules/@openai/codex/bin/codex.js");

    const FoundProgram found = find_program("codex", {home() + version + "/bin", home()});

    EXPECT_THAT(found.read, ::testing::ElementsAre(home() + version + "/bin", home() + version + "/lib/node_modules"));
    EXPECT_THAT(found.path_folders, ::testing::ElementsAre(home() + version + "/bin"));
}

TEST_F(FindAgent, APackageBelowTheUsersOwnPrefixShowsNothingElseOfIt) {
    install("/.local/lib/node_modules/@openai/codex/bin/codex.js", "#!/usr/bin/env sh\n");
    link("/.local/bin/codex", "/.local/lib/node_modules/@openai/codex/bin/codex.js");
    install("/.local/share/keyrings/login.keyring", "not for agents");

    const FoundProgram found = find("codex");

    EXPECT_THAT(found.read, ::testing::ElementsAre(home() + "/.local/bin", home() + "/.local/lib/node_modules"));
}

TEST_F(FindAgent, APackageInNpxsCacheIsFoundThoughNoPathNamesIt) {
    const std::string cache = "/.npm/_npx/a3b/node_modules";
    install(cache + "/@anthropic-ai/claude-code/bin/claude.exe", "\x7f" "ELF");
    link(cache + "/.bin/claude", cache + "/@anthropic-ai/claude-code/bin/claude.exe");

    const FoundProgram found = find("claude");

    EXPECT_EQ(found.path, home() + cache + "/.bin/claude");
    EXPECT_THAT(found.read, ::testing::ElementsAre(home() + cache));
    EXPECT_THAT(found.path_folders, ::testing::ElementsAre(home() + cache + "/.bin"));
}

TEST_F(FindAgent, AnInterpreterElsewhereIsPartOfWhatIsNeeded) {
    const std::string version = "/.nvm/versions/node/v22.1.0";
    install(version + "/bin/node", "\x7f" "ELF");
    install(version + "/lib/node_modules/npm/package.json", "{}");
    install("/tools/codex", "#!/usr/bin/env node\n");

    const FoundProgram found = find_program("codex", {home() + "/tools", home()});

    EXPECT_THAT(found.path_folders, ::testing::ElementsAre(home() + "/tools", home() + version + "/bin"));
    EXPECT_THAT(found.read, ::testing::Contains(home() + version + "/bin"));
}

TEST_F(FindAgent, AProgramOfTheSystemNeedsNothing) {
    const FoundProgram found = find("env");

    EXPECT_EQ(found.path, "/usr/bin/env");
    EXPECT_TRUE(found.read.empty());
    EXPECT_TRUE(found.path_folders.empty());
}

TEST_F(FindAgent, AScriptThatStartsWhatNobodyKnowsIsNamedAsOne) {
    install("/.local/bin/claude", "#!/bin/sh\nexec node \"$basedir/global/5/node_modules/claude/cli.js\"\n");
    install("/.local/bin/codex", "\x7f" "ELF");
    install("/.local/lib/node_modules/x/x.sh", "#!/usr/bin/env bash\n");
    link("/.local/bin/x", "/.local/lib/node_modules/x/x.sh");

    EXPECT_TRUE(find("claude").is_wrapper);
    EXPECT_FALSE(find("codex").is_wrapper);
    EXPECT_FALSE(find("x").is_wrapper) << "its packages are shown";
}

TEST_F(FindAgent, WhatIsNotThereIsNotFound) { EXPECT_EQ(find("no-such-agent").path, ""); }

TEST(ParseRequest, AGoodUrlIsPutInCanonicalForm) {
    const auto request = parse_request("GET", "https://API.github.com/repos/x%c3%a4/y?z=1");

    ASSERT_TRUE(request) << request.error().what;
    EXPECT_EQ(request->host, "api.github.com");
    EXPECT_EQ(request->port, 443);
    EXPECT_EQ(request->path, "/repos/x%C3%A4/y");
    EXPECT_EQ(request->query, "z=1");
    EXPECT_TRUE(request->is_tls);
    EXPECT_EQ(parse_request("GET", "http://h.test:8080")->port, 8080);
    EXPECT_EQ(parse_request("GET", "https://h.test")->path, "/");
}

TEST(ParseRequest, WhatTheInterceptorRefusesIsRefused) {
    for (const char* url : {"ftp://h.test/", "//h.test/", "h.test/", "https://user@h.test/", "https://h.test./",
                            "https://[::1]/", "https://h.test:0/", "https://h.test:99999/", "https://h.test/a/../b",
                            "https://h.test/%2e%2e/b", "https://h.test/a%2fb", "https://h.test/a//b",
                            "https://h.test/a;b", "https://h.test/%zz", "https://h.test/a b", "https://h.test/#x",
                            "https://h.test/?a=%00", "https:///x", "https://h_t.test/"}) {
        EXPECT_FALSE(parse_request("GET", url)) << url;
    }
    for (const char* method : {"", "get", "G T", "GET\n"}) {
        EXPECT_FALSE(parse_request(method, "https://h.test/")) << method;
    }
}

}  // namespace
}  // namespace sanctum::console::test
