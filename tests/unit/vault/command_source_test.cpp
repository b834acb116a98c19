// SPDX-License-Identifier: Apache-2.0
#include "base/limits.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/command.hpp"
#include "vault/sources/file.hpp"
#include "vault/sources/local.hpp"
#include "vault/sources/rotate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
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
        account_.command = arguments;
        const auto runner =
            CommandRunner::start({Command{std::move(arguments), std::move(environment), {}, {}}}, timeout, loop_)
                .value();
        CommandSource source(runner, {0, std::nullopt}, clock_, account_);
        return acquire(source);
    }
    Fetched acquire(Source& source, std::vector<std::string> scopes = {}) {
        SourceNeed need;
        need.scopes = std::move(scopes);
        std::optional<Fetched> answer;
        source.acquire(need, [&](Fetched credential) { answer.emplace(std::move(credential)); });
        while (!answer) {
            if (!loop_.wait(clock_, std::nullopt)) break;
        }
        return std::move(*answer);
    }
    RetireOutcome retire(Source& source, const Credential& credential, RetireCause cause = RetireCause::MissionEnd) {
        std::optional<RetireOutcome> answer;
        source.retire(credential, cause, [&](const RetireOutcome& outcome) { answer = outcome; });
        while (!answer) {
            if (!loop_.wait(clock_, std::nullopt)) break;
        }
        return *answer;
    }
    // Two scripts: one that prints, one that gives back.
    std::shared_ptr<CommandRunner> runner_of(const std::string& print, const std::string& give_back) {
        account_.command = {"/bin/print", "x"};
        account_.give_back = {"/bin/back", "x"};
        const std::vector<std::string> environment = {"PATH=/usr/bin:/bin"};
        return CommandRunner::start({{{"/bin/sh", "-c", print}, environment, "SANCTUM_SCOPES", {}},
                                     {{"/bin/sh", "-c", give_back}, environment, "SANCTUM_HANDLE", {}}},
                                    kGenerous, loop_)
            .value();
    }
    static std::string content(const std::string& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    Fetched run_script(const std::string& script, std::chrono::milliseconds timeout = kGenerous) {
        return run({"/bin/sh", "-c", script}, timeout);
    }

    SystemClock clock_;
    PollLoop loop_;
    TemporaryFolder folder_;
    profiles::Account account_;
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

    std::array<char, 8> said{};

    // A shell that is not up within its bound shows nothing: the next one gets more time.
    for (std::chrono::milliseconds bound(300); said[0] == 0 && bound <= std::chrono::seconds(40); bound *= 2) {
        Fetched failed = run_script("exec 9>" + fifo + "; sleep 3600 & echo up >&9; sleep 3600", bound);
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.failure().fault, SourceFault::NoAnswer);
        static_cast<void>(!::read(alive.get(), said.data(), said.size()));
    }
    EXPECT_STREQ(said.data(), "up\n");
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
    Fetched credential = run_script("sleep 30 & echo token-1");  // longer than anything here is waited for
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
    const auto runner =
        CommandRunner::start({Command{{"/bin/sh", "-c", "read line < " + gate + "; echo slow"}, {}, {}, {}},
                              Command{{"/bin/echo", "fast"}, {}, {}, {}}},
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
    const auto runner = CommandRunner::start({Command{{"/bin/echo", "x"}, {}, {}, {}}}, kGenerous, loop_).value();
    std::vector<CommandEnd::How> ends;
    runner->run(1, [&](CommandEnd end) { ends.push_back(end.how); });
    while (ends.empty()) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_EQ(ends[0], CommandEnd::How::Lost);
    runner->run(0, [&](CommandEnd end) { ends.push_back(end.how); });
    EXPECT_EQ(ends.back(), CommandEnd::How::Lost);
}

// --- the contract -------------------------------------------------------------------------------------------------

TEST_F(CommandSourceTest, JsonSaysHowLongAndForWhatACredentialIsGood) {
    const auto runner = runner_of(R"(printf '{"secret":"t-%s","expires_in":900,"scopes":["read"]}' "$SANCTUM_SCOPES")",
                                  "exit 1");
    account_.provider.scope_names["issues:read"] = "read";
    account_.give_back.clear();
    CommandSource source(runner, {0, std::nullopt}, clock_, account_);

    Fetched fetched = acquire(source, {"issues:read"});

    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "t-read") << "it is told the scopes by the names that it knows";
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Both);
    EXPECT_EQ(fetched->retire, RetireClass::Expires);
    EXPECT_NEAR(static_cast<double>(fetched->expires->unix_ms - clock_.wall().unix_ms), 900'000.0, 5'000.0);
    EXPECT_EQ(retire(source, *fetched).end, RetireOutcome::End::LeftToExpire);
}

TEST_F(CommandSourceTest, JsonThatBreaksTheContractNamesTheKeyAndShowsNoValue) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"secret":"canary")", "broken JSON"},
        {R"({"expires_in":900})", "`secret` is missing"},
        {R"({"secret":17})", "`secret` is no text"},
        {R"({"secret":""})", "`secret` is no text, or an empty one"},
        {R"({"secret":"canary","expires_in":"soon"})", "`expires_in` is no whole number"},
        {R"({"secret":"canary","expires_in":0})", "`expires_in` is no whole number"},
        {R"({"secret":"canary","expires_in":1.5})", "`expires_in` is no whole number"},
        {R"({"secret":"canary","scopes":"read"})", "`scopes` is no list of texts"},
        {R"({"secret":"canary","scopes":[1]})", "`scopes` is no list of texts"},
        {R"({"secret":"canary","handle":"a\nb"})", "`handle` is no printable text"},
        {R"({"secret":"canary","handle":"key-1"})", "names no program for `revoke`"},
        {R"({"secret":"canary","expire_in":900})", "`expire_in` is none of"},
        {R"({"secret":"a","canary-6f1c9e0b7d55":1})", "a key is none of"},
        {R"({"secret":"canary","secret":"canary"})", "a member twice"}};
    for (const auto& [output, told] : cases) {
        const std::string file = folder_ / "output";
        std::ofstream(file) << output;
        Fetched failed = run({"/bin/cat", file});
        ASSERT_FALSE(failed) << output;
        EXPECT_EQ(failed.failure().fault, SourceFault::Protocol) << output;
        EXPECT_THAT(failed.failure().what, HasSubstr(told)) << output;
        EXPECT_THAT(failed.failure().what, HasSubstr("/bin/cat")) << output;
        EXPECT_THAT(failed.failure().what, Not(HasSubstr("canary"))) << output;
    }
}

TEST_F(CommandSourceTest, ScopesThatAreWiderThanTheNeedAreRefused) {
    account_.provider.scope_names["issues:read"] = "read";
    const auto runner = runner_of(R"(echo '{"secret":"t","scopes":["read","admin"]}')", "exit 1");
    CommandSource source(runner, {0, std::nullopt}, clock_, account_);
    EXPECT_EQ(acquire(source, {"issues:read"}).failure().fault, SourceFault::ScopeTooWide);
}

TEST_F(CommandSourceTest, TheSecondProgramGetsHandleAndCredentialAndNothingElseOfThem) {
    const std::string seen = folder_ / "seen";
    const auto runner = runner_of(R"(echo '{"secret":"canary-of-the-mint","handle":"key-17"}')",
                                  "{ echo \"$SANCTUM_HANDLE\"; cat; echo; env; tr '\\0' ' ' < /proc/$$/cmdline; } > " +
                                      seen);
    CommandSource source(runner, {0, 1}, clock_, account_);
    Fetched fetched = acquire(source);
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->retire, RetireClass::Self);
    EXPECT_EQ(fetched->handle, "key-17");

    const RetireOutcome outcome = retire(source, *fetched);

    EXPECT_EQ(outcome.end, RetireOutcome::End::Gone);
    EXPECT_EQ(outcome.detail, "given back by /bin/back");
    const std::string told = content(seen);
    const std::string wanted = "key-17\ncanary-of-the-mint\n";
    EXPECT_TRUE(told.starts_with(wanted)) << told;
    EXPECT_EQ(told.find("canary-of", wanted.size()), std::string::npos) << "in no variable and no argument: " << told;
}

TEST_F(CommandSourceTest, ASecondProgramThatFailsLeavesTheCredentialAndSaysSo) {
    const auto runner = runner_of("echo t-1", "exit 3");
    CommandSource source(runner, {0, 1}, clock_, account_);
    Fetched fetched = acquire(source);

    const RetireOutcome outcome = retire(source, *fetched);

    EXPECT_EQ(outcome.end, RetireOutcome::End::NotYet);
    EXPECT_THAT(outcome.detail, HasSubstr("/bin/back ended with exit status 3"));
}

TEST_F(CommandSourceTest, WhatBreaksTheContractIsGivenBackBeforeItIsRefused) {
    const std::string seen = folder_ / "seen";
    const auto runner = runner_of(R"(echo '{"secret":"t-1","expires_in":-1}')", "cat > " + seen);
    CommandSource source(runner, {0, 1}, clock_, account_);

    EXPECT_EQ(acquire(source).failure().fault, SourceFault::Protocol);

    EXPECT_EQ(content(seen), "t-1");
}

TEST_F(CommandSourceTest, WhatTheReaperNeedsIsSealedAndNamesAnAccountAndNoProgram) {
    account_.name = "alice";
    const auto runner = runner_of(R"(echo '{"secret":"t-1","handle":"key-17"}')", "exit 0");
    CommandSource source(runner, {0, 1}, clock_, account_);
    Fetched fetched = acquire(source);
    const auto retirement = source.retirement(*fetched);
    ASSERT_NE(retirement, nullptr);
    const Result<ReaperKey> reaper = ReaperKey::open(folder_.path());
    const Result<Retirement> opened = reaper->unseal(reaper->seal().seal(*retirement));
    ASSERT_TRUE(opened) << opened.error().what;
    EXPECT_EQ(opened->account, "alice");
    EXPECT_EQ(opened->handle, "key-17");
    EXPECT_EQ(opened->request.body.reveal(), "t-1");
    EXPECT_EQ(opened->request.url, "");

    account_.on_exit = "expire";
    CommandSource left(runner, {0, 1}, clock_, account_);
    Fetched kept = acquire(left);
    EXPECT_EQ(left.retirement(*kept), nullptr);
}

TEST_F(CommandSourceTest, OnExitExpireRunsNoSecondProgram) {
    account_.on_exit = "expire";
    const auto runner = runner_of("echo t-1", "exit 3");
    CommandSource source(runner, {0, 1}, clock_, account_);
    Fetched fetched = acquire(source);
    EXPECT_EQ(retire(source, *fetched).end, RetireOutcome::End::Gone);
}

TEST_F(CommandSourceTest, TheLargestCredentialCanBeGivenBack) {
    const std::string seen = folder_ / "seen";
    const auto runner = runner_of("head -c 65000 /dev/zero | tr '\\0' a", "wc -c > " + seen);
    CommandSource source(runner, {0, 1}, clock_, account_);
    Fetched fetched = acquire(source);
    ASSERT_TRUE(fetched);
    EXPECT_EQ(retire(source, *fetched).end, RetireOutcome::End::Gone);
    EXPECT_EQ(content(seen), "65000\n");
}

// --- rotate -------------------------------------------------------------------------------------------------------

class RotateSourceTest : public CommandSourceTest {
protected:
    RotateSource make(const std::string& issue = {}, const std::string& retire = {}) {
        const std::string count = "echo i >> " + log() + "; printf 'k-%s' $(grep -c i " + log() + ")";
        return {runner_of(issue.empty() ? count : issue, retire.empty() ? "echo r >> " + log() : retire), {0, 1},
                clock_, account_};
    }
    [[nodiscard]] std::string log() const { return folder_ / "log"; }
};

TEST_F(RotateSourceTest, AllLeasesOfAMissionShareOneCredentialAndTheLastRetiresIt) {
    RotateSource source = make();
    Fetched first = acquire(source, {"read"});
    Fetched second = acquire(source, {"write"});
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->secret.reveal(), "k-1");
    EXPECT_EQ(second->secret.reveal(), "k-1");

    const RetireOutcome early = retire(source, *first, RetireCause::Used);
    EXPECT_EQ(early.end, RetireOutcome::End::Gone);
    EXPECT_THAT(early.detail, HasSubstr("another lease has the same credential"));
    EXPECT_EQ(content(log()), "i\n");
    EXPECT_EQ(retire(source, *second).detail, "given back by /bin/back");
    EXPECT_EQ(content(log()), "i\nr\n");
}

TEST_F(RotateSourceTest, AtTheMissionsEndEveryLeaseHearsOfTheOneRun) {
    RotateSource source = make();
    Fetched first = acquire(source);
    Fetched second = acquire(source);
    std::vector<std::string> told;
    const auto hear = [&](const RetireOutcome& outcome) { told.push_back(outcome.detail); };
    source.retire(*first, RetireCause::MissionEnd, hear);
    EXPECT_TRUE(told.empty());
    source.retire(*second, RetireCause::MissionEnd, hear);
    while (told.size() < 2) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_THAT(told, ::testing::Each("given back by /bin/back"));
    EXPECT_EQ(content(log()), "i\nr\n");
}

TEST_F(RotateSourceTest, ConcurrentNeedsIssueOnce) {
    RotateSource source = make();
    std::vector<std::string> got;
    for (int i = 0; i < 3; ++i) {
        source.acquire({}, [&](Fetched fetched) { got.emplace_back(fetched->secret.reveal()); });
    }
    while (got.size() < 3) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_THAT(got, ::testing::Each("k-1"));
}

TEST_F(RotateSourceTest, AfterTheLastLeaseAnotherOneIsIssued) {
    RotateSource source = make();
    Fetched first = acquire(source);
    EXPECT_EQ(retire(source, *first, RetireCause::Expired).end, RetireOutcome::End::Gone);
    EXPECT_EQ(acquire(source)->secret.reveal(), "k-2");
}

TEST_F(RotateSourceTest, OneThatIsAboutToEndIsNotShared) {
    RotateSource source = make("echo i >> " + log() + R"(; echo '{"secret":"k","expires_in":30}')");
    Fetched first = acquire(source);
    Fetched second = acquire(source);
    EXPECT_NE(first->handle, second->handle);
    EXPECT_EQ(content(log()), "i\ni\n");
    EXPECT_EQ(retire(source, *first).end, RetireOutcome::End::Gone);
    EXPECT_EQ(retire(source, *second).end, RetireOutcome::End::Gone);
}

TEST_F(RotateSourceTest, AFailingProgramIsToldToAllThatWait) {
    RotateSource source = make("exit 4");
    std::vector<std::string> told;
    for (int i = 0; i < 2; ++i) {
        source.acquire({}, [&](const Fetched& fetched) { told.push_back(fetched.failure().what); });
    }
    while (told.size() < 2) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    EXPECT_THAT(told, ::testing::Each(HasSubstr("ended with exit status 4")));
}

TEST_F(RotateSourceTest, WhatCannotBeRetiredIsSaid) {
    RotateSource source = make({}, "exit 5");
    Fetched first = acquire(source);
    const RetireOutcome outcome = retire(source, *first);
    EXPECT_EQ(outcome.end, RetireOutcome::End::NotYet);
    EXPECT_THAT(outcome.detail, HasSubstr("exit status 5"));
}

// --- file ---------------------------------------------------------------------------------------------------------

class FileSourceTest : public CommandSourceTest {
protected:
    void SetUp() override { write("token-1\n"); }
    void write(const std::string& text, mode_t mode = 0600) {
        const std::string fresh = path() + ".new";
        std::ofstream(fresh) << text;
        ASSERT_EQ(::chmod(fresh.c_str(), mode), 0);
        ASSERT_EQ(::rename(fresh.c_str(), path().c_str()), 0);
    }
    [[nodiscard]] std::string path() const { return folder_ / "token"; }
    FileSource make() {
        return {CommandRunner::start({{{}, {}, {}, path()}}, kGenerous, loop_).value(), 0, path()};
    }
    void wait_until_stale(const FileSource& source, const Credential& credential) {
        while (source.is_current(credential)) ASSERT_TRUE(loop_.wait(clock_, std::nullopt));
    }
};

TEST_F(FileSourceTest, TheContentIsTheCredentialWithoutOneNewline) {
    FileSource source = make();
    Fetched fetched = acquire(source, {"read"});
    ASSERT_TRUE(fetched) << fetched.failure().what;
    EXPECT_EQ(fetched->secret.reveal(), "token-1");
    EXPECT_EQ(fetched->scopes.narrowed_by, NarrowedBy::Proxy);
    EXPECT_TRUE(source.is_current(*fetched));
    const RetireOutcome outcome = retire(source, *fetched);
    EXPECT_EQ(outcome.end, RetireOutcome::End::Gone);
    EXPECT_THAT(outcome.detail, HasSubstr("may stay valid"));
}

TEST_F(FileSourceTest, AFileThatChangesEndsItsLeasesAndIsReadAgain) {
    FileSource source = make();
    Fetched first = acquire(source);

    write("token-2");
    wait_until_stale(source, *first);

    Fetched second = acquire(source);
    EXPECT_EQ(second->secret.reveal(), "token-2");
    EXPECT_TRUE(source.is_current(*second));
}

TEST_F(FileSourceTest, ALinkThatLeadsElsewhereCountsAsAChange) {
    ASSERT_EQ(::mkdir((folder_ / "a").c_str(), 0700), 0);
    ASSERT_EQ(::mkdir((folder_ / "b").c_str(), 0700), 0);
    write("old");
    ASSERT_EQ(::rename(path().c_str(), (folder_ / "a/t").c_str()), 0);
    write("new");
    ASSERT_EQ(::rename(path().c_str(), (folder_ / "b/t").c_str()), 0);
    ASSERT_EQ(::symlink("a", (folder_ / "now").c_str()), 0);
    ASSERT_EQ(::symlink("now/t", path().c_str()), 0);
    FileSource source = make();
    Fetched first = acquire(source);
    ASSERT_TRUE(first) << first.failure().what;
    EXPECT_EQ(first->secret.reveal(), "old");

    ASSERT_EQ(::symlink("b", (folder_ / "next").c_str()), 0);
    ASSERT_EQ(::rename((folder_ / "next").c_str(), (folder_ / "now").c_str()), 0);
    wait_until_stale(source, *first);

    EXPECT_EQ(acquire(source)->secret.reveal(), "new");
}

TEST_F(FileSourceTest, AFileThatOthersMayReadOrThatIsGoneIsRefusedWithTheRemedy) {
    FileSource source = make();
    write("token-1", 0644);
    Fetched readable = acquire(source);
    ASSERT_FALSE(readable);
    EXPECT_THAT(readable.failure().what, HasSubstr("can be read by other users (chmod 600 " + path()));
    ASSERT_EQ(::unlink(path().c_str()), 0);
    EXPECT_EQ(acquire(source).failure().fault, SourceFault::NotFound);
    write("\n");
    EXPECT_THAT(acquire(source).failure().what, HasSubstr("is empty"));
    write(std::string(kCommandOutputBytesMax + 1, 'a'));
    EXPECT_FALSE(acquire(source));
    write("token-3");
    EXPECT_EQ(acquire(source)->secret.reveal(), "token-3");
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
