// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/sources/command.hpp"
#include "vault/sources/local.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using test::TemporaryFolder;

constexpr std::chrono::milliseconds kGenerous{20'000};

// One command per test, run by a real helper.
class CommandSourceTest : public ::testing::Test {
protected:
    Fetched run(std::vector<std::string> arguments, std::chrono::milliseconds timeout = kGenerous,
                           std::vector<std::string> environment = {"PATH=/usr/bin:/bin"}) {
        const std::string program = arguments.front();
        const auto runner =
            CommandRunner::start({Command{std::move(arguments), std::move(environment)}}, timeout, loop_).value();
        CommandSource source(runner, 0, program);
        std::optional<Fetched> answer;
        source.acquire({}, [&](Fetched credential) { answer.emplace(std::move(credential)); });
        while (!answer) {
            if (!loop_.wait(clock_, std::nullopt)) break;
        }
        return std::move(*answer);
    }
    Fetched run_script(const std::string& script, std::chrono::milliseconds timeout = kGenerous) {
        return run({"/bin/sh", "-c", script}, timeout);
    }

    SystemClock clock_;
    PollLoop loop_;
};

TEST_F(CommandSourceTest, WhatTheProgramPrintsIsTheCredentialWithoutOneNewline) {
    EXPECT_EQ(run_script("echo token-1")->secret.reveal(), "token-1");
    EXPECT_EQ(run_script("printf token-1")->secret.reveal(), "token-1");
    // The second is left for the byte check to refuse.
    EXPECT_EQ(run_script("printf 'token-1\\n\\n'")->secret.reveal(), "token-1\n");
}

TEST_F(CommandSourceTest, AFailingProgramIsNamedWithItsCodeAndNotQuoted) {
    Fetched failed = run_script("echo half-a-secret; echo why >&2; exit 3");

    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.failure().fault, SourceFault::Failed);
    EXPECT_THAT(failed.failure().what, HasSubstr("/bin/sh ended with exit status 3"));
    EXPECT_THAT(failed.failure().what, Not(HasSubstr("half-a-secret")));
}

TEST_F(CommandSourceTest, AProgramThatPrintsNothingIsAnError) {
    Fetched failed = run_script("exit 0");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.failure().fault, SourceFault::Failed);
}

TEST_F(CommandSourceTest, AMissingProgramIsNamed) {
    Fetched failed = run({"/nonexistent/pass", "show"});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.failure().fault, SourceFault::NotFound);
    EXPECT_THAT(failed.failure().what, HasSubstr("/nonexistent/pass"));
}

TEST_F(CommandSourceTest, AHangingProgramIsKilledWithAllThatItStarted) {
    const TemporaryFolder folder;
    const std::string fifo = folder / "alive";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    // The grandchild holds the pipe's write end for as long as it lives; reading it to its end proves that it is gone.
    const UniqueFd alive(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));

    Fetched failed =
        run_script("exec 9>" + fifo + "; sleep 3600 & sleep 3600", std::chrono::milliseconds(300));

    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.failure().fault, SourceFault::NoAnswer);
    ASSERT_EQ(::fcntl(alive.get(), F_SETFL, 0), 0);
    char byte = 0;
    EXPECT_EQ(::read(alive.get(), &byte, 1), 0);
}

TEST_F(CommandSourceTest, EndlessOutputIsCutOff) {
    Fetched failed = run_script("yes secret");
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.failure().fault, SourceFault::Failed);
}

TEST_F(CommandSourceTest, OutputOfTheLargestSizeComesWhole) {
    Fetched credential =
        run_script("head -c " + std::to_string(kCommandOutputBytesMax) + " /dev/zero | tr '\\0' a");
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->secret.size(), kCommandOutputBytesMax);
    EXPECT_FALSE(run_script("head -c " + std::to_string(kCommandOutputBytesMax + 1) + " /dev/zero"));
}

TEST_F(CommandSourceTest, AnAgentLeftInTheBackgroundIsNotWaitedFor) {
    Fetched credential = run_script("sleep 5 & echo token-1");
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->secret.reveal(), "token-1");
}

TEST_F(CommandSourceTest, TheProgramGetsItsOwnEnvironmentAndNoneOfOurs) {
    ::setenv("SANCTUM_TEST_LEAK", "canary", 1);
    ::setenv("LD_PRELOAD", "/nonexistent/evil.so", 1);
    Fetched credential = run({"/usr/bin/env"}, kGenerous, {"ONLY=this"});
    ::unsetenv("LD_PRELOAD");

    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->secret.reveal(), "ONLY=this");
}

TEST_F(CommandSourceTest, TheProgramInheritsNoDescriptorAndReadsNothing) {
    const UniqueFd ours(::open("/etc/hostname", O_RDONLY));  // not close-on-exec, as a careless library would leave it
    // A shell's own list: 0, 1, 2 and the folder that it reads.
    EXPECT_EQ(run_script("ls /proc/self/fd | tr '\\n' ' '; cat")->secret.reveal(), "0 1 2 3 ");
}

TEST_F(CommandSourceTest, TheProgramsSignalsAreTheOrdinaryOnes) {
    ::signal(SIGTERM, SIG_IGN);
    Fetched credential = run_script("kill -TERM $$; echo survived");
    ::signal(SIGTERM, SIG_DFL);
    ASSERT_FALSE(credential);
    EXPECT_THAT(credential.failure().what, HasSubstr("signal 15"));
}

TEST_F(CommandSourceTest, WhatComesBeforeAKilledProgramIsNotACredential) {
    EXPECT_FALSE(run_script("echo half; kill -KILL $$"));
}

TEST_F(CommandSourceTest, TheLoopGoesOnWhileAProgramRuns) {
    const TemporaryFolder folder;
    const std::string gate = folder / "gate";
    ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
    const auto runner = CommandRunner::start({Command{{"/bin/sh", "-c", "read line < " + gate + "; echo slow"}, {}},
                                              Command{{"/bin/echo", "fast"}, {}}},
                                             kGenerous, loop_)
                            .value();
    std::vector<std::string> answers;
    for (const std::uint32_t index : {0U, 1U}) {
        runner->run(index, [&](CommandEnd end) { answers.emplace_back(end.output.reveal()); });
    }
    while (answers.empty()) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_EQ(answers, (std::vector<std::string>{"fast\n"}));

    std::ofstream(gate) << "go\n";
    while (answers.size() < 2) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_EQ(answers[1], "slow\n");
}

// A taken-over vault: an index that was never given ends the helper, and with it every hope of another program.
TEST_F(CommandSourceTest, AnIndexThatWasNeverGivenRunsNothing) {
    const auto runner = CommandRunner::start({Command{{"/bin/echo", "x"}, {}}}, kGenerous, loop_).value();
    std::vector<CommandEnd::How> ends;
    runner->run(1, [&](CommandEnd end) { ends.push_back(end.how); });
    while (ends.empty()) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_EQ(ends[0], CommandEnd::How::Lost);
    runner->run(0, [&](CommandEnd end) { ends.push_back(end.how); });
    EXPECT_EQ(ends.back(), CommandEnd::How::Lost);
}

TEST(EnvironmentForCommands, HoldsOnlyNamedVariables) {
    const auto environment = environment_for_commands(
        {{"HOME", "/home/a"}, {"LD_PRELOAD", "/evil.so"}, {"PATH", "/tmp/evil"}, {"SANCTUM_LOG", "debug"}});

    EXPECT_THAT(environment, ::testing::Contains("HOME=/home/a"));
    for (const std::string& entry : environment) {
        EXPECT_THAT(entry, Not(HasSubstr("evil")));
        EXPECT_THAT(entry, Not(HasSubstr("SANCTUM_LOG")));
    }
}

TEST(LocalSource, HandsOutItsValueAndSaysThatItWasNotNarrowed) {
    LocalSource source{LockedBytes(std::string_view("stored"))};
    SourceNeed need;
    need.scopes = {"push"};
    std::optional<Credential> got;
    source.acquire(need, [&](Fetched credential) { got.emplace(std::move(*credential)); });

    ASSERT_TRUE(got);
    EXPECT_EQ(got->secret.reveal(), "stored");
    EXPECT_EQ(got->scopes.received, std::nullopt);
    EXPECT_EQ(got->scopes.narrowed_by, NarrowedBy::Proxy);
    EXPECT_EQ(got->retire, RetireClass::None);
    source.retire(*got, RetireCause::MissionEnd, [](const RetireOutcome& outcome) {
        EXPECT_EQ(outcome.end, RetireOutcome::End::Gone);
        EXPECT_THAT(outcome.detail, HasSubstr("stays valid"));
    });
}

}  // namespace
}  // namespace sanctum::vault
