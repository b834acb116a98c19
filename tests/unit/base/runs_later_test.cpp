// SPDX-License-Identifier: Apache-2.0
// Files that run later: found before, compared after, held back and accepted.
#include "base/files.hpp"
#include "base/folder_walk.hpp"
#include "base/limits.hpp"
#include "base/runs_later/git_configuration.hpp"
#include "base/runs_later/runs_later.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace sanctum::runs_later {
namespace {

namespace fs = std::filesystem;

class RunsLater : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/sanctum-runs-later-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        workspace_ = name;
        write(".git/HEAD", "ref: refs/heads/main\n");
        write(".git/config", "[core]\n\tbare = false\n");
        write(".git/hooks/pre-commit", "#!/bin/sh\n");
        write(".git/hooks/update.sample", "#!/bin/sh\n");
        write("sub/.envrc", "export A=1\n");
        write("src/main.c", "int main;\n");
    }
    void TearDown() override { fs::remove_all(workspace_); }

    void write(const std::string& path, const std::string& text) const {
        const fs::path whole = fs::path(workspace_) / path;
        fs::create_directories(whole.parent_path());
        fs::remove(whole);
        ASSERT_TRUE(write_file_atomically(whole.string(), text, 0644).has_value());
    }
    std::string text_of(const std::string& path) const {
        const auto text = read_file(workspace_ + "/" + path, 1 << 20);
        return text ? *text : "(absent)";
    }
    Snapshot remembered() const {
        auto snapshot = remember(workspace_);
        EXPECT_TRUE(snapshot.has_value());
        return *snapshot;
    }
    /// The originals that may be released by these digests.
    std::vector<std::string> released_of(const std::vector<std::string>& originals,
                                         const std::vector<std::string>& digests) const {
        std::vector<std::string> paths;
        for (const HeldPlace& place : still_held(workspace_, originals, digests)) {
            if (place.fault.empty()) paths.push_back(place.original);
        }
        return paths;
    }
    std::vector<std::string> changed_since(const Snapshot& before) const {
        std::vector<std::string> paths;
        const auto changes = find_changes(before);
        EXPECT_TRUE(changes.whole.has_value());
        for (const Change& change : changes.found) paths.push_back(change.path.substr(workspace_.size() + 1));
        return paths;
    }

    std::string workspace_;
};

using Paths = std::vector<std::string>;

TEST_F(RunsLater, ExistingOnesAreFoundAsFoldersAndFiles) {
    const auto found = find_existing(workspace_);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, (Paths{workspace_ + "/.git/hooks", workspace_ + "/sub/.envrc"}));
}

TEST_F(RunsLater, AnUntouchedWorkspaceHasNoChanges) { EXPECT_EQ(changed_since(remembered()), Paths{}); }

TEST_F(RunsLater, OrdinaryFilesAreNotNamed) {
    const Snapshot before = remembered();
    write("src/main.c", "int changed;\n");
    write("Makefile", "all:\n");
    write(".git/objects/ab/cdef", "blob");
    write(".git/hooks/commit-msg.sample", "#!/bin/sh\n");
    EXPECT_EQ(changed_since(before), Paths{});
}

TEST_F(RunsLater, NewAndChangedOnesAreNamed) {
    const Snapshot before = remembered();
    write("sub/.envrc", "export A=2\n");
    write(".mcp.json", "{}");
    write(".vscode/tasks.json", "{}");
    write("nested/.git/HEAD", "ref: x\n");
    write("nested/.git/hooks/post-checkout", "#!/bin/sh\n");
    EXPECT_EQ(changed_since(before),
              (Paths{".mcp.json", ".vscode/tasks.json", "nested/.git/hooks/post-checkout", "sub/.envrc"}));
}

TEST_F(RunsLater, ABareRepositoryInTheWorkspaceIsSeen) {
    const Snapshot before = remembered();
    write("data/HEAD", "ref: x\n");
    fs::create_directories(workspace_ + "/data/objects");
    write("data/config", "[core]\n\tfsmonitor = touch /tmp/x\n");
    write("data/hooks/pre-push", "#!/bin/sh\n");
    EXPECT_EQ(changed_since(before), (Paths{"data/config", "data/hooks/pre-push"}));
}

TEST_F(RunsLater, LinksAndPointersInTheirPlaceAreSeen) {
    const Snapshot before = remembered();
    fs::create_directories(workspace_ + "/elsewhere");
    fs::create_directory_symlink("elsewhere", workspace_ + "/.vscode");
    write("module/.git", "gitdir: ../elsewhere\n");
    fs::create_directories(workspace_ + "/other/.git");
    fs::create_directory_symlink("../../elsewhere", workspace_ + "/other/.git/hooks");
    EXPECT_EQ(changed_since(before), (Paths{".vscode", "module/.git", "other/.git/hooks"}));
}

TEST_F(RunsLater, OnlyExecutingKeysOfAConfigurationCount) {
    const Snapshot before = remembered();
    write(".git/config", "[core]\n\tbare = false\n[user]\n\tname = agent\n"
                         "[remote \"origin\"]\n\turl = https://a.test/x\n");
    EXPECT_EQ(changed_since(before), Paths{});
    write(".git/config", "[core]\n\tbare = false\n\thooksPath = /tmp/evil\n[filter \"x\"]\n\tclean = touch /tmp/y\n");
    const Changes changes = find_changes(before);
    ASSERT_EQ(changes.found.size(), 1U);
    EXPECT_EQ(changes.found.front().keys, (Paths{"core.hookspath", "filter.x.clean"}));
}

TEST_F(RunsLater, EveryKeyWithWhichGitAndItsCompanionsRunAProgramIsExecuting) {
    const Snapshot before = remembered();
    write(".git/config", "[gc]\n\trecentObjectsHook = evil\n[imap]\n\ttunnel = evil\n[http]\n\tsslCAPath = /evil\n"
                         "[lfs \"extension.x\"]\n\tclean = evil\n\tsmudge = evil\n\tpriority = 0\n"
                         "[lfs \"customtransfer.x\"]\n\tpath = evil\n[gpg \"ssh\"]\n\tdefaultKeyCommand = evil\n");
    const Changes changes = find_changes(before);
    ASSERT_EQ(changes.found.size(), 1U);
    EXPECT_EQ(changes.found.front().keys,
              (Paths{"gc.recentobjectshook", "imap.tunnel", "http.sslcapath", "lfs.extension.x.clean",
                     "lfs.extension.x.smudge", "lfs.customtransfer.x.path", "gpg.ssh.defaultkeycommand"}));
}

TEST_F(RunsLater, HeldFilesAreOutOfPlaceUntilAccepted) {
    const Snapshot before = remembered();
    write(".mcp.json", "{\"new\":1}");
    write(".git/config", "[core]\n\tbare = false\n\tpager = evil\n[user]\n\tname = agent\n");
    const Held held = hold(find_changes(before).found, before);
    ASSERT_TRUE(held.whole.has_value());
    ASSERT_EQ(held.digests.size(), 2U);
    EXPECT_EQ(text_of(".mcp.json"), "(absent)");
    EXPECT_EQ(text_of(".git/config"), "[core]\n\tbare = false\n\t\n[user]\n\tname = agent\n");
    EXPECT_EQ(changed_since(before), Paths{});
    const Paths originals{workspace_ + "/.git/config", workspace_ + "/.mcp.json", workspace_ + "/notes"};
    EXPECT_EQ(released_of(originals, held.digests), (Paths{workspace_ + "/.git/config", workspace_ + "/.mcp.json"}));
    ASSERT_TRUE(accept(workspace_ + "/.mcp.json").has_value());
    EXPECT_EQ(released_of(originals, held.digests), Paths{workspace_ + "/.git/config"});
    EXPECT_EQ(text_of(".mcp.json"), "{\"new\":1}");
    EXPECT_EQ(accept(workspace_ + "/.mcp.json").error().code, Errc::NotFound);
}

TEST_F(RunsLater, WhatIsNotTheFileThatWasHeldIsNamedAsSuch) {
    const Snapshot before = remembered();
    write(".envrc", "one\n");
    const Held held = hold(find_changes(before).found, before);
    const Paths originals{workspace_ + "/.envrc"};
    const std::string place = workspace_ + "/.envrc.sanctum-held";
    const auto fault = [&](const Paths& digests) {
        const auto places = still_held(workspace_, originals, digests);
        return places.size() == 1 ? places.front().fault : "not held";
    };
    ASSERT_EQ(held.digests.size(), 1U);
    EXPECT_EQ(fault(held.digests), "");
    EXPECT_NE(fault({}).find("no digest"), std::string::npos) << "a record that is older than the digests";
    EXPECT_NE(fault({""}).find("no digest"), std::string::npos);

    write(".envrc.sanctum-held", "two\n");
    EXPECT_NE(fault(held.digests).find("not what this mission left"), std::string::npos);
    write(".envrc.sanctum-held", "one\n");
    EXPECT_EQ(fault(held.digests), "");
    ASSERT_EQ(::chmod(place.c_str(), 0755), 0);
    EXPECT_NE(fault(held.digests), "") << "it could be run now";
    fs::remove(place);
    write("plain", "one\n");
    fs::create_symlink("plain", place);
    EXPECT_NE(fault(held.digests), "") << "a link to the same content";
    fs::remove(place);
    fs::create_directories(place);
    EXPECT_NE(fault(held.digests), "");
}

TEST_F(RunsLater, ALinkThatIsHeldIsTheSameOnlyWithWhatItLeadsTo) {
    const Snapshot before = remembered();
    write("plain", "one\n");
    fs::create_symlink("plain", workspace_ + "/.envrc");
    const Held held = hold(find_changes(before).found, before);
    EXPECT_EQ(released_of({workspace_ + "/.envrc"}, held.digests), Paths{workspace_ + "/.envrc"});
    write("plain", "two\n");
    EXPECT_EQ(released_of({workspace_ + "/.envrc"}, held.digests), Paths{});
}

/// Root may look and write everywhere, so these are made as an ordinary user in a child.
template <class Claim>
int as_ordinary_user(const std::string& workspace, Claim claim) {
    constexpr uid_t kOrdinary = 61234;
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0) {
            for (const auto& entry : fs::recursive_directory_iterator(workspace)) {
                if (::lchown(entry.path().c_str(), kOrdinary, kOrdinary) != 0) ::_exit(2);
            }
            if (::chown(workspace.c_str(), kOrdinary, kOrdinary) != 0 || ::setuid(kOrdinary) != 0) ::_exit(2);
        }
        ::_exit(claim() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
}

TEST_F(RunsLater, WhatCouldNotBeHeldOrReadHasNoDigest) {
    write("shut/.envrc", "of the owner\n");
    EXPECT_EQ(as_ordinary_user(workspace_, [&] {
        const auto before = remember(workspace_);
        ::chmod((workspace_ + "/shut").c_str(), 0);
        const Held folder = hold(find_changes(*before).found, *before);
        return folder.whole && folder.digests == Paths{""};
    }), 0);
    const Snapshot before = remembered();
    const Held gone = hold({{workspace_ + "/sub/none", "", Change::Kind::File, {}}}, before);
    EXPECT_FALSE(gone.whole);
    EXPECT_EQ(gone.digests, Paths{""});
    ::chmod((workspace_ + "/shut.sanctum-held").c_str(), 0700);
}

TEST_F(RunsLater, WhatIsHeldIsGuardedLikeAFileThatRunsLater) {
    write("new/.envrc.sanctum-held", "x");
    fs::create_symlink("x", workspace_ + "/.envrc.sanctum-held");
    const auto found = find_existing(workspace_);
    ASSERT_TRUE(found);
    EXPECT_EQ(std::count(found->begin(), found->end(), workspace_ + "/new/.envrc.sanctum-held"), 1);
    EXPECT_EQ(std::count(found->begin(), found->end(), workspace_ + "/.envrc.sanctum-held"), 0) << "a link";
}

TEST_F(RunsLater, AConfigurationThatCannotBeReadIsPutBackWhole) {
    const Snapshot before = remembered();
    write(".git/config", "[core\n\tpager = evil\n");
    ASSERT_TRUE(hold(find_changes(before).found, before).whole.has_value());
    EXPECT_EQ(text_of(".git/config"), "[core]\n\tbare = false\n");
}

TEST_F(RunsLater, AFolderThatNobodyMayLookIntoIsHeldAndOneThatAlwaysWasIsNot) {
    write("closed/.envrc", "of the owner\n");
    write("shut/.envrc", "of the owner\n");
    write(".vscode/tasks.json", "{}");
    EXPECT_EQ(as_ordinary_user(workspace_, [&] {
        ::chmod((workspace_ + "/closed").c_str(), 0111);
        const auto before = remember(workspace_);
        const bool is_quiet = find_changes(*before).found.empty();
        ::chmod((workspace_ + "/.vscode").c_str(), 0111);
        ::chmod((workspace_ + "/shut").c_str(), 0);
        const Changes changes = find_changes(*before);
        return is_quiet && changes.whole && changes.found.size() == 2 && hold(changes.found, *before).whole &&
               !fs::exists(workspace_ + "/.vscode") && fs::exists(workspace_ + "/shut.sanctum-held") &&
               fs::exists(workspace_ + "/closed");
    }), 0);
}

TEST_F(RunsLater, AFolderWithoutWritePermissionKeepsNothingInPlace) {
    const Snapshot before = remembered();
    write(".vscode/tasks.json", "{}");
    EXPECT_EQ(as_ordinary_user(workspace_, [&] {
        ::chmod((workspace_ + "/.vscode").c_str(), 0555);
        const bool is_held = hold(find_changes(before).found, before).whole.has_value();
        struct stat status {};
        return is_held && !fs::exists(workspace_ + "/.vscode/tasks.json") &&
               ::stat((workspace_ + "/.vscode").c_str(), &status) == 0 && (status.st_mode & 0777) == 0555;
    }), 0);
}

TEST_F(RunsLater, NothingInOnePlaceHidesWhatIsInAnother) {
    const Snapshot before = remembered();
    write(".mcp.json", "{}");
    const int workspace = ::open(workspace_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int folder = ::dup(workspace);
    const std::string name(200, 'd');  // too long a path after twenty of them, too deep after 128
    for (const auto& [each, count] : {std::pair<std::string, int>{name, 25}, {"deep", 140}}) {
        ::close(folder);
        folder = ::dup(workspace);
        for (int level = 0; level < count; ++level) {
            ASSERT_EQ(::mkdirat(folder, each.c_str(), 0755), 0);
            const int below = ::openat(folder, each.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            ::close(folder);
            folder = below;
        }
        ::close(::openat(folder, ".envrc", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
    ::close(folder);
    ::close(workspace);
    const Status bounded = walk_folder(workspace_, [](const WalkEntry&) { return Descend::Yes; });
    ASSERT_FALSE(bounded.has_value());
    EXPECT_NE(bounded.error().what.find("(remove it, or move it away)"), std::string::npos);
    EXPECT_LT(bounded.error().what.size(), 1000U) << "a line that can be read";
    const Changes changes = find_changes(before);
    EXPECT_TRUE(changes.whole.has_value());
    EXPECT_EQ(changes.found.size(), 3U);
    EXPECT_TRUE(hold(changes.found, before).whole.has_value());
    EXPECT_EQ(text_of(".mcp.json"), "(absent)");
    EXPECT_TRUE(find_changes(before).found.empty());
}

TEST_F(RunsLater, WhatALinkOfTheListLeadsToCountsAsLongAsTheAgentCanChangeIt) {
    write("tools/vscode/tasks.json", "{}");
    write("tools/mcp.json", "{}");
    fs::create_directory_symlink("tools/vscode", workspace_ + "/.vscode");
    fs::create_symlink("tools/mcp.json", workspace_ + "/.mcp.json");
    fs::create_directory_symlink("/usr/share", workspace_ + "/.idea");
    const Snapshot before = remembered();
    EXPECT_EQ(changed_since(before), Paths{});
    write("tools/elsewhere.json", "{}");
    EXPECT_EQ(changed_since(before), Paths{});
    write("tools/mcp.json", "{\"new\":1}");
    EXPECT_EQ(changed_since(before), Paths{".mcp.json"});
    write("tools/vscode/new/settings.json", "{}");
    EXPECT_EQ(changed_since(before), (Paths{".mcp.json", ".vscode"}));
    ASSERT_TRUE(hold(find_changes(before).found, before).whole.has_value());
    EXPECT_EQ(text_of(".mcp.json"), "(absent)");
    EXPECT_EQ(text_of("tools/mcp.json"), "{\"new\":1}");
}

TEST_F(RunsLater, ARepositoryWhoseConfigurationLiesElsewhereIsOne) {
    const Snapshot before = remembered();
    write("nested/.git/HEAD", "ref: refs/heads/main\n");
    write("nested/.git/commondir", "../../common\n");
    fs::create_directories(workspace_ + "/common/objects");
    fs::create_directories(workspace_ + "/common/refs");
    write("common/config", "[core]\n\tfsmonitor = evil\n");
    write("common/hooks/post-checkout", "#!/bin/sh\n");
    write("ordinary/config", "[core]\n\tfsmonitor = evil\n");
    write("ordinary/commondir", "a file of that name\n");
    EXPECT_EQ(changed_since(before), (Paths{"common/config", "common/hooks/post-checkout", "nested/.git/commondir"}));
}

TEST_F(RunsLater, TheConfigurationOfALinkedWorkingTreeIsOne) {
    write(".git/worktrees/side/HEAD", "ref: refs/heads/side\n");
    write(".git/worktrees/side/commondir", "../..\n");
    write(".git/worktrees/side/gitdir", workspace_ + "/side/.git\n");
    write(".git/worktrees/side/config.worktree", "[core]\n\tsparseCheckout = true\n");
    const Snapshot before = remembered();
    write(".git/worktrees/side/config.worktree", "[core]\n\tsparseCheckout = true\n\tfsmonitor = evil\n");
    EXPECT_EQ(changed_since(before), (Paths{".git/worktrees/side/config.worktree"}));
}

TEST_F(RunsLater, WhatAConfigurationNamesCountsThoughTheConfigurationStays) {
    write(".git/config", "[core]\n\thooksPath = tools/hooks\n\tsshCommand = ssh -F tools/ssh\n"
                         "[include]\n\tpath = ../shared.gitconfig\n"
                         "[alias]\n\tcheck = !sh ./tools/check.sh --all\n\tl = log -- src/main.c\n"
                         "[filter \"f\"]\n\tclean = tools/absent\n[init]\n\ttemplateDir = ~/x\n");
    write("shared.gitconfig", "[core]\n\tpager = tools/pager\n[include]\n\tpath = more/gitconfig\n");
    write("tools/hooks/pre-commit", "#!/bin/sh\n");
    write("tools/check.sh", "true\n");
    write("tools/other", "true\n");
    const auto existing = find_existing(workspace_);
    ASSERT_TRUE(existing.has_value());
    for (const char* place : {"tools/hooks", "tools/check.sh", "shared.gitconfig"}) {
        EXPECT_EQ(std::count(existing->begin(), existing->end(), workspace_ + "/" + place), 1) << place;
    }
    const Snapshot before = remembered();
    EXPECT_EQ(changed_since(before), Paths{});

    for (const char* path : {"tools/hooks/pre-commit", "tools/hooks/post-merge", "tools/hooks/lib/x", "tools/check.sh",
                             "tools/absent", "tools/ssh", "tools/pager", "tools/other", "src/main.c",
                             "shared.gitconfig", "more/gitconfig"}) {
        write(path, "evil\n");
    }
    EXPECT_EQ(changed_since(before),
              (Paths{"more/gitconfig", "shared.gitconfig", "tools/absent", "tools/check.sh", "tools/hooks/lib/x",
                     "tools/hooks/post-merge", "tools/hooks/pre-commit", "tools/pager", "tools/ssh"}));
    ASSERT_TRUE(hold(find_changes(before).found, before).whole.has_value());
    EXPECT_EQ(text_of("tools/hooks/pre-commit"), "(absent)");
    EXPECT_EQ(text_of("tools/hooks/pre-commit.sanctum-held"), "evil\n");
    EXPECT_EQ(changed_since(before), Paths{});
}

TEST_F(RunsLater, WhatIsNamedIsReadFromEveryWorkingTree) {
    write(".git/config", "[core]\n\thooksPath = hooks\n");
    write(".git/worktrees/side/HEAD", "ref: refs/heads/side\n");
    write(".git/worktrees/side/commondir", "../..\n");
    write(".git/worktrees/side/gitdir", workspace_ + "/side/.git\n");
    write("side/.git", "gitdir: ../.git/worktrees/side\n");
    write(".git/modules/part/HEAD", "ref: refs/heads/main\n");
    fs::create_directories(workspace_ + "/.git/modules/part/objects");
    write(".git/modules/part/config", "[core]\n\tworktree = ../../../part\n\thooksPath = " + workspace_ + "/whole\n"
                                      "\tfsmonitor = bin/watch\n");
    const Snapshot before = remembered();
    for (const char* path : {"hooks/pre-commit", "side/hooks/pre-commit", "whole/x", "part/bin/watch", "bin/watch"}) {
        write(path, "evil\n");
    }
    EXPECT_EQ(changed_since(before), (Paths{"hooks/pre-commit", "part/bin/watch", "side/hooks/pre-commit", "whole/x"}));
}

TEST_F(RunsLater, ANamedFolderThatBecomesALinkIsAChange) {
    write(".git/config", "[core]\n\thooksPath = tools/hooks\n");
    write("tools/hooks/pre-commit", "#!/bin/sh\n");
    write("elsewhere/pre-commit", "evil\n");
    const Snapshot before = remembered();
    fs::remove_all(workspace_ + "/tools/hooks");
    fs::create_symlink("../elsewhere", workspace_ + "/tools/hooks");
    EXPECT_EQ(changed_since(before), (Paths{"tools/hooks"}));
}

TEST_F(RunsLater, ANameThatIsTooLongWithTheEndingIsHeldUnderAShorterOne) {
    const Snapshot before = remembered();
    const std::string one = ".opencode/plugin/" + std::string(240, 'a') + "1.js";
    const std::string two = ".opencode/plugin/" + std::string(240, 'a') + "2.js";
    fs::create_directories(workspace_ + "/.opencode/plugin");
    std::ofstream(workspace_ + "/" + one) << "1\n";
    std::ofstream(workspace_ + "/" + two) << "2\n";
    const Changes changes = find_changes(before);
    const Held held = hold(changes.found, before);
    ASSERT_TRUE(held.whole.has_value()) << held.whole.error().what;
    EXPECT_EQ(text_of(one) + text_of(two), "(absent)(absent)");
    EXPECT_EQ(released_of({workspace_ + "/" + one, workspace_ + "/" + two}, held.digests).size(), 2U);
    ASSERT_TRUE(accept(workspace_ + "/" + two).has_value());
    EXPECT_EQ(text_of(one) + text_of(two), "(absent)2\n");
    EXPECT_EQ(changed_since(before), (Paths{two}));
}

TEST_F(RunsLater, AValueThatItsUserSetAgainstSomethingIsPutBackAndSoIsTheUrlOfARemote) {
    const std::string mine = "[core]\n\thooksPath = /dev/null\n[remote \"origin\"]\n\turl = https://one.test/r\n";
    write(".git/config", mine);
    const Snapshot before = remembered();
    write(".git/config", mine + "[remote \"fork\"]\n\turl = https://two.test/r\n");
    EXPECT_EQ(changed_since(before), Paths{}) << "a remote of the agent's own";
    write(".git/config", "[remote \"origin\"]\n\turl = https://two.test/r\n[push]\n\tpushOption = x\n");
    const Changes changes = find_changes(before);
    ASSERT_EQ(changes.found.size(), 1U);
    EXPECT_EQ(changes.found[0].keys, (Paths{"remote.origin.url", "push.pushoption", "core.hookspath"}));
    ASSERT_TRUE(hold(changes.found, before).whole.has_value());
    const std::string text = text_of(".git/config");
    EXPECT_EQ(text.find("two.test"), std::string::npos);
    EXPECT_NE(text.find("/dev/null"), std::string::npos);
    EXPECT_NE(text.find("one.test"), std::string::npos) << "put back with it";
}

TEST_F(RunsLater, AConfigurationThatBecameTooLargeIsPutBackWhole) {
    const Snapshot before = remembered();
    write(".git/config", "[core]\n\tbare = false\n#" + std::string(2 * kRunsLaterFileBytesMax, 'x') + "\n");
    const Changes changes = find_changes(before);
    ASSERT_EQ(changes.found.size(), 1U);
    ASSERT_TRUE(hold(changes.found, before).whole.has_value());
    EXPECT_EQ(text_of(".git/config"), "[core]\n\tbare = false\n");
}

TEST_F(RunsLater, WhatStandsInTheWayIsMovedAside) {
    const Snapshot before = remembered();
    write(".mcp.json", "{\"new\":1}");
    write(".mcp.json.sanctum-held/in-the-way", "x");
    ASSERT_TRUE(hold(find_changes(before).found, before).whole.has_value());
    EXPECT_EQ(text_of(".mcp.json"), "(absent)");
    EXPECT_EQ(text_of(".mcp.json.sanctum-held"), "{\"new\":1}");
    fs::create_directories(workspace_ + "/.mcp.json/of-the-user");
    EXPECT_FALSE(accept(workspace_ + "/.mcp.json").has_value());
    EXPECT_TRUE(fs::exists(workspace_ + "/.mcp.json/of-the-user"));
}

TEST(GitConfiguration, IsReadAsGitReadsIt) {
    const auto variables = parse_git_configuration(
        "# c\n[core] hooksPath = \"/a b\" ; c\n[Alias]\n  x = \"!sh \\\"q\\\"\" \\\n more\n"
        "[remote \"O\\\"r\"]\n\turl=u\n\tflag\n");
    ASSERT_TRUE(variables.has_value());
    ASSERT_EQ(variables->size(), 4U);
    EXPECT_EQ((*variables)[0].key(), "core.hookspath");
    EXPECT_EQ((*variables)[0].value, "/a b");
    EXPECT_EQ((*variables)[1].key(), "alias.x");
    EXPECT_EQ((*variables)[1].value, "!sh \"q\"  more");
    EXPECT_EQ((*variables)[2].subsection, "O\"r");
    EXPECT_EQ((*variables)[3].value, "true");
}

// Each row was read by git 2.39 (`git config --file FILE --get core.x`).
TEST(GitConfiguration, BlanksAtAValuesEndCountWhereTheyAreQuotedOrEscaped) {
    const std::vector<std::pair<std::string, std::string>> rows{
        {"a  ", "a"},      {"\"a \"", "a "}, {"a\\t", "a\t"},   {"a \"\"", "a "},  {"\"a \"  ; c", "a "},
        {"a \\\n", "a "}, {"\" a\" ", " a"}, {"  a b\r", "a b"}, {"\"\"  a", "a"}, {"a\f", "a\f"},
    };
    for (const auto& [written, value] : rows) {
        const auto variables = parse_git_configuration("[core]\n\tx = " + written + "\n");
        ASSERT_TRUE(variables.has_value() && variables->size() == 1) << written;
        EXPECT_EQ(variables->front().value, value) << written;
    }
    const auto found =
        new_executing_variables("[core]\nhooksPath = .githooks\n", "[core]\nhooksPath = \".githooks \"\n");
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->size(), 1U);
}

TEST(GitConfiguration, WhatGitWouldRefuseIsAnError) {
    for (const char* text : {"x = 1\n", "[core\n", "[core]\n\tx = \"open\n", "[core]\n\t1x = 2\n", "[core]\n\tx y\n",
                             "[core \"a\n\"]\n", "[core]\n\tx = \\q\n"}) {
        EXPECT_FALSE(parse_git_configuration(text).has_value()) << text;
    }
}

TEST(GitConfiguration, WhatIsPutBackIsNoPartOfALineThatGoesOn) {
    const std::string before = "[core]\n\thooksPath = /safe\n[alias]\n\tx = !sh\n";
    const std::string after = "[alias]\n\tx = !sh\\\n";

    const auto text = without_new_executing_variables(before, after);

    ASSERT_TRUE(text.has_value());
    EXPECT_TRUE(new_executing_variables(before, *text)->empty());
    EXPECT_TRUE(new_executing_variables(*text, before)->empty());
}

TEST(GitConfiguration, ChangedExecutingValuesAreTurnedBack) {
    const auto text = without_new_executing_variables("[core]\n\teditor = vi\n", "[core]\n\teditor = evil\n\tx = 1\n");
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(text->find("evil"), std::string::npos);
    const auto again = parse_git_configuration(*text);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->back().value, "vi");
}

}  // namespace
}  // namespace sanctum::runs_later
