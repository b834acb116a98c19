// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/witness.hpp"

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "launcher/run/summary.hpp"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sstream>
#include <sys/stat.h>

namespace sanctum::launcher {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

ledger::SignedHead head(std::uint64_t seq) {
    return {1, "01kabcdefghjkmnpqrstvwxyz0", seq, sha256(std::to_string(seq)), "c2ln", "ed25519:9c"};
}

class WitnessTest : public testing::Test {
protected:
    WitnessTest() {
        std::string name = (std::filesystem::temp_directory_path() / "sanctum-witness-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        command = folder + "/publish-head";
    }
    ~WitnessTest() override { std::filesystem::remove_all(folder); }

    /// `script` calls the folder `$folder`: its name may hold what a shell would split or expand.
    void write_command(const std::string& script) const {
        std::ofstream(command) << "#!/bin/sh\nfolder=${0%/*}\n" << script << "\n";
        std::filesystem::permissions(command, std::filesystem::perms::owner_all);
    }
    [[nodiscard]] std::unique_ptr<Witness> start(milliseconds timeout = seconds(20),
                                                 milliseconds end_timeout = seconds(20)) const {
        auto witness = Witness::start({command, environment, timeout, end_timeout});
        EXPECT_TRUE(witness) << (witness ? "" : witness.error().what);
        return witness ? *std::move(witness) : nullptr;
    }
    [[nodiscard]] std::string kept(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream(folder + "/" + name).rdbuf();
        return text.str();
    }

    std::string folder;
    std::string command;
    std::map<std::string, std::string> environment;
};

TEST_F(WitnessTest, TheCommandGetsEachHeadAsOneLine) {
    write_command("cat >> \"$folder/heads\"");
    const auto witness = start();

    for (const std::uint64_t seq : {1U, 2U, 3U}) witness->tell(head(seq));

    EXPECT_EQ(witness->settle(), 3U);
    EXPECT_EQ(witness->fault(), "");
    EXPECT_EQ(kept("heads"), wire::to_json(head(1)) + "\n" + wire::to_json(head(2)) + "\n" + wire::to_json(head(3)) +
                                 "\n");
    EXPECT_THAT(kept("heads"), HasSubstr(R"({"v":1,"mission":"01kabcdefghjkmnpqrstvwxyz0","head_seq":1,"head":")"));
    EXPECT_THAT(kept("heads"), HasSubstr(R"(","signature":"c2ln","key":"ed25519:9c"})"));
}

TEST_F(WitnessTest, TheCommandHasABuiltEnvironmentAndNothingOfTheLaunchersIsOpen) {
    environment = {{"HOME", "/home/a"}, {"LD_PRELOAD", "/tmp/x.so"}, {"GH_TOKEN", "secret"}, {"PATH", "/tmp/evil"}};
    write_command("tr '\\0' '\\n' < /proc/$$/environ > \"$folder/environment\"\n"
                  "/bin/ls /proc/self/fd > \"$folder/open\"\n"
                  "all=$(/bin/readlink /proc/$$/fd/1 /proc/$$/fd/2); echo \"$all\" > \"$folder/outputs\"");
    const UniqueFd stray(::dup(STDERR_FILENO));  // on purpose not close-on-exec
    const auto witness = start();

    witness->tell(head(1));

    ASSERT_EQ(witness->settle(), 1U) << witness->fault();
    EXPECT_EQ(kept("environment"), "LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                                   "HOME=/home/a\n");
    EXPECT_EQ(kept("open"), "0\n1\n2\n3\n");  // 3 is the folder that ls itself opened
    EXPECT_EQ(kept("outputs"), "/dev/null\n/dev/null\n");
}

TEST_F(WitnessTest, AFailingCommandIsNotToldAndTheNextHeadIsTriedAgain) {
    write_command("grep -q '\"head_seq\":2' && exit 3; exit 0");
    const auto witness = start();

    for (const std::uint64_t seq : {1U, 2U, 3U}) witness->tell(head(seq));

    EXPECT_EQ(witness->settle(), 2U);
    EXPECT_EQ(witness->fault(), "exit status 3");
}

TEST_F(WitnessTest, AMissingCommandSaysSo) {
    const auto witness = start();

    witness->tell(head(1));

    EXPECT_EQ(witness->settle(), 0U);
    EXPECT_EQ(witness->fault(), "No such file or directory");
}

// The end of a named pipe that a command holds open while anything of it lives.
class Alive {
public:
    explicit Alive(const std::string& path) {
        EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
        pipe_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    }
    // What was written until now or, at the latest, for a minute.
    [[nodiscard]] std::string read() const {
        wait();
        return read_now();
    }
    [[nodiscard]] std::string read_now() const {
        std::array<char, 64> bytes{};
        const ssize_t size = ::read(pipe_.get(), bytes.data(), bytes.size());
        return size > 0 ? std::string(bytes.data(), static_cast<std::size_t>(size)) : "";
    }
    [[nodiscard]] bool has_ended() const { return (wait() & POLLHUP) != 0; }

private:
    short wait() const {
        pollfd wait{pipe_.get(), POLLIN, 0};
        ::poll(&wait, 1, 60'000);
        return wait.revents;
    }
    UniqueFd pipe_;
};

TEST_F(WitnessTest, AHangingCommandIsKilledInTimeWithWhatItStarted) {
    const Alive alive(folder + "/alive");
    write_command("exec 9> \"$folder/alive\"\nsleep 600 &\necho up >&9\nwait");
    bool was_up = false;
    // A shell that is not up within its bound shows nothing: the next one gets more time.
    for (seconds bound(1); !was_up && bound <= seconds(32); bound *= 2) {
        const auto witness = start(bound, seconds(60));

        witness->tell(head(1));

        EXPECT_EQ(witness->settle(), 0U);
        EXPECT_EQ(witness->fault(), "no end within " + std::to_string(bound.count()) + "000 ms, killed");
        was_up = alive.read_now() == "up\n";
    }
    EXPECT_TRUE(was_up);
    EXPECT_TRUE(alive.has_ended());
}

TEST_F(WitnessTest, WhatACommandLeavesRunningEndsWithIt) {
    const Alive alive(folder + "/alive");
    write_command("exec 9> \"$folder/alive\"\necho up >&9\nsleep 600 &");
    const auto witness = start();

    witness->tell(head(1));

    EXPECT_EQ(witness->settle(), 1U);
    EXPECT_EQ(alive.read(), "up\n");
    EXPECT_TRUE(alive.has_ended());
}

TEST_F(WitnessTest, TheEndWaitsAtMostItsBoundAndDismissingKillsTheCommand) {
    const Alive alive(folder + "/alive");
    write_command("exec 9> \"$folder/alive\"\necho up >&9\nexec sleep 600");
    const auto witness = start(seconds(600), milliseconds(300));
    witness->tell(head(1));
    EXPECT_EQ(alive.read(), "up\n");

    EXPECT_EQ(witness->settle(), 0U);
    EXPECT_EQ(witness->settle(), 0U);  // the bound is one for all calls
    EXPECT_EQ(witness->fault(), "no answer before the end of the mission");
    witness->dismiss();

    EXPECT_TRUE(alive.has_ended());
}

TEST_F(WitnessTest, TellingNeverWaitsAndAFullQueueCountsAsNotTold) {
    ASSERT_EQ(::mkfifo((folder + "/gate").c_str(), 0600), 0);
    const UniqueFd gate(::open((folder + "/gate").c_str(), O_RDWR | O_CLOEXEC));  // keeps what nobody has read yet
    write_command("read -r line < \"$folder/gate\"; cat >> \"$folder/heads\"");
    const auto witness = start();
    const std::size_t more = 3;

    for (std::uint64_t seq = 1; seq <= kWitnessHeadsWaitingMax + more; ++seq) witness->tell(head(seq));

    EXPECT_EQ(witness->fault(), "slower than heads are signed");
    for (std::size_t i = 0; i < kWitnessHeadsWaitingMax; ++i) ASSERT_TRUE(write_all(gate.get(), "go\n"));
    EXPECT_EQ(witness->settle(), kWitnessHeadsWaitingMax);
    EXPECT_THAT(kept("heads"), Not(HasSubstr("\"head_seq\":9,")));
}

TEST(WitnessLine, IsThereOnlyWhenAHeadWasNotTold) {
    ledger::Sealed sealed;
    EXPECT_EQ(witness_line("/usr/local/bin/publish-head", sealed), "");
    sealed.witness = ledger::WitnessCount{4, 4};
    EXPECT_EQ(witness_line("/usr/local/bin/publish-head", sealed), "");

    sealed.witness = ledger::WitnessCount{3, 4};
    sealed.witness_fault = "exit status 3";

    EXPECT_EQ(witness_line("/usr/local/bin/publish-head", sealed),
              "witness: told 3 of 4 heads (command /usr/local/bin/publish-head: exit status 3)");
}

}  // namespace
}  // namespace sanctum::launcher
