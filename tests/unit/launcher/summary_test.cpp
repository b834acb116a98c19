// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/summary.hpp"

#include "launcher/run/delegation_client.hpp"

#include "launcher/run/lease_lines.hpp"
#include "launcher/run/mission_loop.hpp"
#include "launcher/run/used_numbers.hpp"
#include "ledger/printable.hpp"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::launcher {
namespace {

using testing::HasSubstr;

TEST(Ending, CodesFollowTheContract) {
    EXPECT_EQ(ended_by_exit(7).exit_code, 7);
    EXPECT_EQ(ended_by_signal(SIGTERM).exit_code, 143);
    EXPECT_EQ(ended_by_time().exit_code, 124);
    EXPECT_EQ(ended_by_revocation("").exit_code, 122);
    EXPECT_EQ(ended_by_loss("x").exit_code, 137);
    EXPECT_EQ(failed_to_set_up("x").exit_code, 125);
}

TEST(Ending, WithoutASealedRecordNoRunIsASuccess) {
    for (const Ending& ending : {ended_by_exit(0), ended_by_exit(5), ended_by_time(), ended_by_revocation("")}) {
        const Ending unsealed = ended_unsealed(ending, "disk full");
        EXPECT_EQ(unsealed.exit_code, 137);
        EXPECT_EQ(unsealed.reason, EndReason::Lost);
        EXPECT_THAT(unsealed.what, HasSubstr("the record could not be sealed: disk full (run: sanctum reap)"));
    }
    EXPECT_THAT(ended_unsealed(ended_by_time(), "x").what, HasSubstr("time ran out; the record"));
}

TEST(Ending, WhatNeverRanStaysAFailedSetUpWithoutASealedRecord) {
    const Ending unsealed = ended_unsealed(failed_to_set_up("no such command", 127), "disk full");

    EXPECT_EQ(unsealed.exit_code, 127);
    EXPECT_EQ(unsealed.reason, EndReason::Setup);
}

TEST(Ending, ReasonsAreTheWordsOfTheStatusLines) {
    EXPECT_EQ(name_of(ended_by_exit(0).reason), "exit");
    EXPECT_EQ(name_of(ended_by_signal(9).reason), "signal");
    EXPECT_EQ(name_of(ended_by_time().reason), "ttl");
    EXPECT_EQ(name_of(ended_by_revocation("").reason), "revoked");
    EXPECT_EQ(name_of(ended_by_loss("").reason), "lost");
    EXPECT_EQ(name_of(failed_to_set_up("").reason), "setup");
}

TEST(RepositoryOutside, IsNamedWithItsMountWhereItIsOneAndIsNotShown) {
    std::string folder = testing::TempDir() + "repository-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string module = folder + "/main/.git/modules/part";
    std::filesystem::create_directories(module + "/objects");
    std::filesystem::create_directories(folder + "/main/part");
    std::filesystem::create_directories(folder + "/keys");
    profiles::Sandbox sandbox;
    sandbox.workspace = folder + "/main/part";
    EXPECT_EQ(repository_outside(sandbox), "") << "nothing is a repository";

    std::ofstream(sandbox.workspace + "/.git") << "gitdir: ../.git/modules/part\n";
    EXPECT_EQ(repository_outside(sandbox), "") << "it has no HEAD";
    std::ofstream(module + "/HEAD") << "ref: refs/heads/main\n";
    EXPECT_EQ(repository_outside(sandbox), "") << "it does not name the workspace";
    std::ofstream(module + "/config") << "[core]\n\tworktree = ../../../other\n";
    EXPECT_EQ(repository_outside(sandbox), "") << "it names another folder";
    std::ofstream(module + "/config") << "[core]\n\tworktree = ../../../part\n";
    EXPECT_THAT(repository_outside(sandbox),
                HasSubstr("--mount " + ledger::shell_word(module + ":" + module + ":ro") + " shows it"));
    sandbox.mounts = {{"/elsewhere", folder + "/main/.git", false}};
    EXPECT_EQ(repository_outside(sandbox), "");
    sandbox = {};
    sandbox.workspace = folder + "/main";
    EXPECT_EQ(repository_outside(sandbox), "") << "`.git` is a folder";

    sandbox.workspace = folder + "/main/part";
    std::ofstream(sandbox.workspace + "/.git") << "gitdir: " << folder << "/keys\n";
    EXPECT_EQ(repository_outside(sandbox), "") << "a place that the file's writer would like to see";
    std::filesystem::remove_all(folder);
}

TEST(RepositoryOutside, OfAWorktreeIsNamedOnlyWhereItNamesTheWorkspaceToo) {
    std::string folder = testing::TempDir() + "repository-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const std::string common = folder + "/main/.git";
    const std::string own = common + "/worktrees/tree";
    for (const std::string& made : {common + "/objects", own, folder + "/tree", folder + "/other"}) {
        std::filesystem::create_directories(made);
    }
    std::ofstream(common + "/HEAD") << "ref: refs/heads/main\n";
    std::ofstream(own + "/commondir") << "../..\n";
    std::ofstream(folder + "/tree/.git") << "gitdir: " << own << "\n";
    profiles::Sandbox sandbox;
    sandbox.workspace = folder + "/tree";
    EXPECT_EQ(repository_outside(sandbox), "") << "a folder that names nobody";
    std::ofstream(own + "/gitdir") << folder << "/other/.git\n";
    EXPECT_EQ(repository_outside(sandbox), "") << "another one's worktree";
    std::ofstream(own + "/gitdir") << folder << "/tree/.git\n";
    EXPECT_THAT(repository_outside(sandbox),
                HasSubstr("--mount " + ledger::shell_word(common + ":" + common + ":ro") + " shows it"));

    // What the agent writes in its workspace says nothing about a repository elsewhere.
    std::filesystem::create_directories(folder + "/tree/made");
    std::ofstream(folder + "/tree/.git") << "gitdir: made\n";
    std::ofstream(folder + "/tree/made/gitdir") << folder << "/tree/.git\n";
    std::ofstream(folder + "/tree/made/commondir") << common << "\n";
    EXPECT_EQ(repository_outside(sandbox), "") << "its own folder is not one of the repository's";
    std::filesystem::remove_all(folder);
}

TEST(LastLines, SayWhatHappenedWhatWasNotNeededAndWhatIsNext) {
    Counts counts;
    counts.allowed = 12;
    counts.refused = 3;
    counts.refused_by_reason = {{"host_unknown", 2}, {"resource_outside", 1}};

    const std::string lines = last_lines("01kabc", counts, true, {"git:push"});

    EXPECT_EQ(lines, "12 allowed, 3 refused (host_unknown 2, resource_outside 1)\nsanctum-run: never used: git:push\n"
                     "sanctum-run: see: sanctum show 01kabc");
}

TEST(LastLines, NameTheAccountWhoseCredentialItsServerDidNotTake) {
    Counts counts;
    counts.rejected_by_account = {{"alice", 2}};

    EXPECT_THAT(last_lines("01kabc", counts, true, {}),
                HasSubstr("\nsanctum-run: account alice: its server refused the credential (401) 2 times; renew it"));
    EXPECT_THAT(last_lines("01kabc", {}, true, {}), testing::Not(HasSubstr("refused the credential")));
}

TEST(LastLines, SayNothingOfScopesWhereNoneWereGranted) {
    EXPECT_EQ(last_lines("01kabc", {}, false, {}),
              "0 allowed, 0 refused\nsanctum-run: see: sanctum show 01kabc");
    EXPECT_THAT(last_lines("01kabc", {}, true, {}), HasSubstr("every granted scope was used"));
}

TEST(LastLines, AreShortWhenManyScopesWereNotNeeded) {
    const std::vector<std::string> scopes(20, "github:contents:read");

    EXPECT_THAT(last_lines("01kabc", {}, true, scopes), HasSubstr("and 14 more"));
}

class ExecFailure : public testing::Test {
protected:
    ExecFailure() {
        std::string name = (std::filesystem::temp_directory_path() / "sanctum-exec-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        std::ofstream(folder + "/claude") << "#!/bin/sh\n";
        std::filesystem::permissions(folder + "/claude", std::filesystem::perms::owner_all);
        prepared.environment["PATH"] = "/nonexistent:" + folder;
        prepared.mission.profile_path = "/home/a/mission.toml";
        prepared.plan.working_directory = folder;
    }
    ~ExecFailure() override { std::filesystem::remove_all(folder); }
    std::string folder;
    PreparedMission prepared;
};

TEST_F(ExecFailure, ACommandThatExistsOnlyOutsideIs127WithTheLineToAdd) {
    prepared.plan.command = {"claude", "-p"};

    const Ending ending = explain_exec_failure({Errc::NotFound, "exec", ENOENT}, prepared);

    EXPECT_EQ(ending.exit_code, 127);
    EXPECT_THAT(ending.what, HasSubstr("read = [\"" + folder + "/claude\"]"));
    EXPECT_THAT(ending.what, HasSubstr("PATH = \"" + folder + ":/usr/local/sbin:"));
    EXPECT_THAT(ending.what, HasSubstr("/home/a/mission.toml"));
}

TEST_F(ExecFailure, ACommandThatIsThereButNotInThePathNeedsOnlyThePath) {
    prepared.plan.command = {"claude"};
    prepared.mission.sandbox.mounts = {{folder, folder, false}};

    const Ending ending = explain_exec_failure({Errc::NotFound, "exec", ENOENT}, prepared);

    EXPECT_THAT(ending.what, HasSubstr("PATH = \"" + folder + ":/usr/local/sbin:"));
    EXPECT_THAT(ending.what, Not(HasSubstr("read =")));
}

TEST_F(ExecFailure, ACommandWhoseFolderThePathNamesNeedsOnlyTheFile) {
    prepared.plan.command = {"claude"};
    prepared.plan.environment["PATH"] = "/usr/bin:" + folder;

    const Ending ending = explain_exec_failure({Errc::NotFound, "exec", ENOENT}, prepared);

    EXPECT_THAT(ending.what, HasSubstr("read = [\"" + folder + "/claude\"]"));
    EXPECT_THAT(ending.what, Not(HasSubstr("PATH = "))) << "the folder's own name may hold the word";
}

TEST_F(ExecFailure, ACommandThatExistsNowhereIs127AndNoAdvice) {
    prepared.plan.command = {"no-such-command"};

    const Ending ending = explain_exec_failure({Errc::NotFound, "exec", ENOENT}, prepared);

    EXPECT_EQ(ending.exit_code, 127);
    EXPECT_EQ(ending.what, "no-such-command: command not found");
}

TEST_F(ExecFailure, AFileThatMayNotBeExecutedIs126) {
    prepared.plan.command = {"/etc/passwd"};

    const Ending ending = explain_exec_failure({Errc::NotPermitted, "exec", EACCES}, prepared);

    EXPECT_EQ(ending.exit_code, 126);
    EXPECT_THAT(ending.what, HasSubstr("Permission denied"));
}

TEST_F(ExecFailure, RelativeCommandsAreLookedForWhereTheCommandWouldRun) {
    EXPECT_EQ(find_outside("./claude", "", folder), folder + "/./claude");
    EXPECT_EQ(find_outside("./other", "", folder), "");
    EXPECT_EQ(find_outside("claude", "relative:" + folder, "/"), folder + "/claude");
    EXPECT_EQ(find_outside("claude", "", folder), "");
}

TEST(CountLeases, EveryLeaseHasExactlyOneEnd) {
    std::map<std::string, wire::LeaseChanged> leases;
    int number = 0;
    for (const char* state : {"gone", "gone", "expired", "orphaned", "parked", "held"}) {
        leases["l" + std::to_string(++number)].state = state;
    }
    ledger::MissionEnded ended;

    count_leases(leases, ended);

    EXPECT_EQ(ended.gone, 2U);
    EXPECT_EQ(ended.expired, 1U);
    EXPECT_EQ(ended.orphaned, 1U);
    EXPECT_EQ(ended.parked, 2U);  // still held means that nobody knows its end: never dropped, shown as parked
}

TEST(LeaseLines, OnlyThisMissionsReadableLinesCount) {
    wire::LeaseChanged lease;
    lease.lease = "l1";
    lease.state = "gone";
    const std::string body = wire::to_json(lease).substr(1);
    const std::string mine = "{\"mission\":\"01ka\"," + body;
    const std::string other = "{\"mission\":\"01kb\"," + body;

    const auto leases = lease_ends_in(mine + "\n" + other + "\nnonsense\n{}\n" + mine, "01ka");

    ASSERT_EQ(leases.size(), 2U);
    EXPECT_EQ(leases[0].lease, "l1");
    EXPECT_EQ(leases[0].state, "gone");
}

TEST(UsedNumbers, EveryNumberCountsOnceInAnyOrder) {
    UsedNumbers used;
    for (const std::uint64_t number : {5U, 3U, 4U, 1U, 2U, 9U}) EXPECT_TRUE(used.use(number)) << number;
    for (const std::uint64_t number : {1U, 2U, 3U, 4U, 5U, 9U}) EXPECT_FALSE(used.use(number)) << number;
    EXPECT_EQ(used.ranges(), 2U);
    EXPECT_TRUE(used.use(0));
    EXPECT_TRUE(used.use(~std::uint64_t{0}));
    EXPECT_FALSE(used.use(~std::uint64_t{0}));
}

TEST(UsedNumbers, ALongRunStaysSmall) {
    UsedNumbers used;
    for (std::uint64_t number = 1; number <= 100'000; ++number) ASSERT_TRUE(used.use(number ^ 1U));

    EXPECT_LE(used.ranges(), 3U);
}

TEST(InsideAMission, ASecondOneIsRefusedOnlyThere) {
    EXPECT_EQ(mission_around({}), "");
    EXPECT_EQ(mission_around({{"SANCTUM_MISSION", "01ka"}}), "");  // no policy file: a stale variable
}

}  // namespace
}  // namespace sanctum::launcher
