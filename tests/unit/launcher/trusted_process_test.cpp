// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/trusted_process.hpp"

#include "launcher/run/standby.hpp"
#include "ledger/printable.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// What a shell on the other end writes to descriptor 3 until it ends.
std::string heard_from(const std::string& script, std::vector<std::string> environment = {},
                       const std::string& shell = "/bin/sh") {
    auto started = start_program({"interceptor", {shell, "-c", script}, std::move(environment), ChildStderr::Null});
    EXPECT_TRUE(started) << started.error().what;
    if (!started) return "";
    std::string text;
    for (;;) {
        pollfd wait{started->channel.fd(), POLLIN, 0};
        if (::poll(&wait, 1, 10'000) <= 0) break;
        std::array<char, 4096> bytes{};
        const ssize_t size = ::recv(started->channel.fd(), bytes.data(), bytes.size(), 0);
        if (size <= 0) break;
        text.append(bytes.data(), static_cast<std::size_t>(size));
    }
    EXPECT_TRUE(wait_for_end(*started, seconds(10)));
    return text;
}

TEST(StartProgram, GivesTheChannelAndNothingElse) {
    const UniqueFd stray(::open("/dev/null", O_RDONLY));  // on purpose not close-on-exec
    ASSERT_TRUE(stray.is_open());

    // 4 is the folder that ls itself opened.
    EXPECT_EQ(heard_from("exec /bin/ls /proc/self/fd >&3"), "0\n1\n2\n3\n4\n");
}

TEST(StartProgram, StdinAndStdoutAreNull) {
    EXPECT_EQ(heard_from("all=$(/bin/readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2); echo \"$all\" >&3"),
              "/dev/null\n/dev/null\n/dev/null\n");
}

TEST(StartProgram, TheEnvironmentIsExactlyWhatWasBuilt) {
    ::setenv("SANCTUM_TEST_LEAK", "yes", 1);

    const std::string text = heard_from("tr '\\0' '\\n' < /proc/$$/environ >&3", {"SANCTUM_LOG=error", "HOME=/h"});

    EXPECT_EQ(text, "SANCTUM_LOG=error\nHOME=/h\n");
    ::unsetenv("SANCTUM_TEST_LEAK");
}

TEST(ShellWord, IsReadByBashAsTheSameBytesAndHoldsNoneThatATerminalObeys) {
    std::string all;
    for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
    for (const std::string& text : {all, std::string(" !\"#$&'()*;<>?[\\]^`{|}~="), std::string("\x1b" "7\xff" "0")}) {
        const std::string word = ledger::shell_word(text);

        EXPECT_TRUE(std::all_of(word.begin(), word.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) << word;
        EXPECT_EQ(heard_from("printf %s " + word + " >&3", {}, "/bin/bash"), text);
    }
}

TEST(StartProgram, HasASessionAFolderAndAMaskOfItsOwn) {
    // Builtins only: a shell blocks every signal while it starts a program.
    const std::string text =
        heard_from("read -r _ _ _ _ _ session _ < /proc/$$/stat; [ $session = $$ ] && pwd >&3; umask >&3; "
                   "while read -r name value; do [ $name = SigBlk: ] && echo $value >&3; done < /proc/$$/status");

    EXPECT_THAT(text, HasSubstr("/\n0077\n"));
    EXPECT_THAT(text, HasSubstr("0000000000000000"));
}

TEST(StartProgram, AMissingProgramIsNamedWithTheRemedy) {
    auto started = start_program({"vault", {"/nonexistent/sanctum-vault"}, {}, ChildStderr::Null});
    ASSERT_TRUE(started);

    const Status confirmed = confirm_start(*started);

    ASSERT_FALSE(confirmed);
    EXPECT_EQ(confirmed.error().code, Errc::Unsupported);
    EXPECT_THAT(confirmed.error().what, HasSubstr("installed as a whole"));
    EXPECT_TRUE(started->is_reaped);
}

TEST(StartProgram, AFileThatIsNoProgramIsAnError) {
    auto started = start_program({"vault", {"/etc/passwd"}, {}, ChildStderr::Null});
    ASSERT_TRUE(started);
    EXPECT_FALSE(confirm_start(*started));
}

TEST(WaitForEnd, SaysNoWhileTheProgramLivesAndKillEndsIt) {
    auto started = start_program({"vault", {"/bin/sh", "-c", "exec /bin/sleep 600"}, {}, ChildStderr::Null});
    ASSERT_TRUE(started);
    ASSERT_TRUE(confirm_start(*started));

    EXPECT_FALSE(wait_for_end(*started, milliseconds(0)));
    kill_program(*started);

    EXPECT_TRUE(wait_for_end(*started, milliseconds(0)));
}

TEST(ProgramStartOfARole, NeverSearchesPathAndPassesVariablesByName) {
    Places places;
    places.programs = "/opt/sanctum/bin";
    const std::map<std::string, std::string> environment = {
        {"HOME", "/home/a"}, {"LD_PRELOAD", "/tmp/x.so"}, {"GH_TOKEN", "secret"}, {"PATH", "/usr/bin"}};

    const ProgramStart vault = program_start("vault", places, Talk::Normal, environment);
    const ProgramStart interceptor = program_start("interceptor", places, Talk::Verbose, environment);

    EXPECT_EQ(vault.arguments.front(), "/opt/sanctum/bin/sanctum-vault");
    EXPECT_THAT(vault.environment, testing::ElementsAre("SANCTUM_LOG=error", "HOME=/home/a", "PATH=/usr/bin"));
    EXPECT_THAT(interceptor.environment, testing::ElementsAre("SANCTUM_LOG=info"));
    EXPECT_EQ(interceptor.child_stderr, ChildStderr::Keep);
}

class StandbyTest : public testing::Test {
protected:
    StandbyTest() {
        std::string name = (std::filesystem::temp_directory_path() / "sanctum-standby-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        ::mkfifo((folder + "/told").c_str(), 0600);
        places.commands = places.programs = folder;
        places.state = folder + "/state";
        // Where no test reads what it was told, it would wait for a reader for ever.
        write_program("sanctum", R"(exec timeout 20 sh -c 'echo "$@" > "$0"' "${0%/*}/told" "$@")");
        write_program("sanctum-vault", "echo \"$@\"");
    }
    ~StandbyTest() override { std::filesystem::remove_all(folder); }
    void write_program(const std::string& name, const std::string& script) {
        std::ofstream(folder + "/" + name) << "#!/bin/sh\n" << script << "\n";
        std::filesystem::permissions(folder + "/" + name, std::filesystem::perms::owner_all);
    }
    Result<Standby> start() { return Standby::start({places, mission, environment, care}); }
    // What the background reaper was told; waits for it.
    std::string told() {
        std::string line;
        std::ifstream stream(folder + "/told");
        std::getline(stream, line);
        return line;
    }
    std::string folder;
    Places places;
    std::string mission = "01k0000000000000000000000m";
    std::map<std::string, std::string> environment = {{"PATH", "/usr/bin:/bin"}};
    std::vector<WorkspaceCare> care;
};

TEST_F(StandbyTest, BecomesTheReaperWhenTheLauncherIsGone) {
    const pid_t launcher = ::fork();
    if (launcher == 0) {
        const auto standby = start();
        ::kill(::getpid(), SIGKILL);
        ::_exit(standby.has_value() ? 0 : 1);
    }

    EXPECT_EQ(told(), "reap --background");
}

TEST_F(StandbyTest, PrintsTheEndsOfADeadVaultsLeases) {
    auto standby = start();
    ASSERT_TRUE(standby);

    const auto output = standby->reap_leases(seconds(10));

    ASSERT_TRUE(output) << output.error().what;
    EXPECT_EQ(*output, "reap --json --mission 01k0000000000000000000000m --state " + folder + "/state\n");
}

TEST_F(StandbyTest, AReaperThatFailedIsNotTakenForOneThatFoundNoLeases) {
    for (const char* failure : {"exit 1", "echo '{\"lease\":\"l1\"}'; exit 3", "kill -9 $$"}) {
        write_program("sanctum-vault", failure);
        auto standby = start();
        ASSERT_TRUE(standby);

        const auto output = standby->reap_leases(seconds(10));

        ASSERT_FALSE(output) << failure;
        EXPECT_THAT(output.error().what, testing::HasSubstr("what it ran ended with"));
    }
}

TEST_F(StandbyTest, ReapsEarlierMissionsAndIsStillThere) {
    auto standby = start();
    ASSERT_TRUE(standby);

    ASSERT_TRUE(standby->reap_earlier_missions());

    EXPECT_EQ(told(), "reap --background");
    EXPECT_TRUE(standby->reap_leases(seconds(10)));
}

TEST_F(StandbyTest, LeavesQuietlyWhenDismissed) {
    auto standby = start();
    ASSERT_TRUE(standby);

    standby->dismiss();  // waits for the child: had it become the reaper, this would hang on the pipe

    EXPECT_FALSE(standby->reap_leases(milliseconds(10)));
}

}  // namespace
}  // namespace sanctum::launcher
