// SPDX-License-Identifier: Apache-2.0
// `sanctum vault …` as a user meets it: words, exit codes, what is asked and what is never shown.
#include "base/files.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kGenerousMs = 60'000;

struct Ran {
    int code = -1;
    std::string output;
    std::string errors;
};

class StoreCommands : public ::testing::Test {
protected:
    [[noreturn]] void become(const std::vector<std::string>& arguments) {
        std::vector<std::string> all = {std::string(SANCTUM_BINARY_DIR) + "/bin/sanctum-vault", "store"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        std::vector<char*> pointers;
        for (std::string& argument : all) pointers.push_back(argument.data());
        pointers.push_back(nullptr);
        std::vector<std::string> environment = {"XDG_CONFIG_HOME=" + folder_.path(), "XDG_DATA_HOME=" + folder_.path(),
                                                "XDG_STATE_HOME=" + folder_.path(), "HOME=/nonexistent",
                                                "ASAN_OPTIONS=detect_leaks=0"};
        std::vector<char*> variables;
        for (std::string& variable : environment) variables.push_back(variable.data());
        variables.push_back(nullptr);
        ::execve(pointers[0], pointers.data(), variables.data());
        ::_exit(127);
    }
    // Without a terminal; standard input is `input`.
    Ran run(const std::vector<std::string>& arguments, const std::string& input = {}) {
        std::ofstream(folder_ / "input") << input;
        const pid_t child = ::fork();
        if (child == 0) {
            ::setsid();
            ::dup2(::open((folder_ / "input").c_str(), O_RDONLY), 0);
            ::dup2(::open((folder_ / "output").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
            ::dup2(::open((folder_ / "errors").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
            become(arguments);
        }
        const int code = wait(child);
        return {code, read_file(folder_ / "output", 65536).value(), read_file(folder_ / "errors", 65536).value()};
    }
    // At a terminal: after each prompt that ends in `: ` the next answer is typed.
    Ran run_at_terminal(const std::vector<std::string>& arguments, const std::vector<std::string>& answers) {
        int terminal = -1;
        const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
        if (child == 0) become(arguments);
        const UniqueFd person(terminal);
        std::string shown;
        std::size_t answered = 0;
        std::size_t seen = 0;
        for (;;) {
            pollfd wait_for{person.get(), POLLIN, 0};
            char byte = 0;
            if (::poll(&wait_for, 1, kGenerousMs) <= 0 || ::read(person.get(), &byte, 1) != 1) break;
            shown.push_back(byte);
            if (answered == answers.size() || !shown.substr(seen).ends_with(": ")) continue;
            seen = shown.size();
            EXPECT_TRUE(write_all(person.get(), answers[answered++]));
        }
        return {wait(child), shown, {}};
    }
    static int wait(pid_t child) {
        int status = 0;
        while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    void init_with_key_file() {
        const std::string key = folder_ / "store.key";
        ASSERT_EQ(run({"init", "--key-file", key}).code, 0);
        ::mkdir((folder_ / "sanctum").c_str(), 0700);
        std::ofstream(folder_ / "sanctum/config.toml") << "schema = 1\n[store]\nunlock = \"key-file:" << key << "\"\n";
    }
    std::string store() { return folder_ / "sanctum/store.sealed"; }

    test::TemporaryFolder folder_;
};

TEST_F(StoreCommands, AValueComesFromStandardInputAndIsNeverShown) {
    init_with_key_file();

    const Ran added = run({"add", "team", "--note", "the team's"}, "canary-value\n");
    const Ran listed = run({"list"});
    const Ran as_json = run({"list", "--json"});

    EXPECT_EQ(added.code, 0) << added.errors;
    EXPECT_THAT(listed.output, HasSubstr("team"));
    EXPECT_THAT(as_json.output, StartsWith("{\"schema\":\"sanctum.vault.list/1\",\"store\":"));
    EXPECT_THAT(as_json.output, HasSubstr("{\"name\":\"team\",\"created\":\""));
    EXPECT_THAT(as_json.output, HasSubstr("\"note\":\"the team's\""));
    for (const Ran& ran : {added, listed, as_json}) {
        EXPECT_THAT(ran.output + ran.errors, Not(HasSubstr("canary-value")));
    }
    const LockedBytes key = load_key_file(folder_ / "store.key").value();
    const SealedBytes sealed = load_store(store()).value();
    const LockedBytes data_key = open_key_slot(sealed.header.id, sealed.header.slots[0], key).value();
    EXPECT_EQ(open_store(sealed, data_key)->at("team").value.reveal(), "canary-value");
}

TEST_F(StoreCommands, AValueTooShortToBeLookedForInAnswersIsSaid) {
    init_with_key_file();

    const Ran shorter = run({"add", "short"}, "12345\n");
    const Ran longer = run({"add", "longer"}, "123456\n");

    EXPECT_EQ(shorter.code, 0) << shorter.errors;
    EXPECT_THAT(shorter.errors, HasSubstr("so short that it is not looked for"));
    EXPECT_THAT(longer.errors, Not(HasSubstr("so short")));
}

TEST_F(StoreCommands, AnUnknownCommandIsNamedAndChangesNothing) {
    const Ran ran = run({"l\x1bst"});

    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.errors, HasSubstr("unknown command \"l\\u001bst\""));
    EXPECT_THAT(run({"lsit"}).errors, HasSubstr("unknown command \"lsit\" (did you mean `list`? sanctum vault --help"));
    EXPECT_THAT(run({"frobnicate"}).errors, HasSubstr("unknown command \"frobnicate\" (sanctum vault --help"));
}

TEST_F(StoreCommands, WithoutATerminalInitAsksForAKeyFileAndMakesNothing) {
    const Ran ran = run({"init"});

    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.errors, HasSubstr("--key-file"));
    EXPECT_NE(::access(store().c_str(), F_OK), 0);
}

TEST_F(StoreCommands, InitMakesAPrivateKeyFileAndStoreAndNeverAgain) {
    init_with_key_file();
    struct stat status {};
    ASSERT_EQ(::stat((folder_ / "store.key").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    ASSERT_EQ(::stat(store().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    const std::string before = read_file(store(), 65536).value();

    EXPECT_EQ(run({"init", "--key-file", folder_ / "store.key"}).code, 1);
    EXPECT_EQ(read_file(store(), 65536).value(), before);
}

TEST_F(StoreCommands, AtATerminalPassphraseAndValueAreAskedTwiceAndNotShown) {
    const Ran made = run_at_terminal({"init"}, {"open sesame\n", "open sesame\n"});
    EXPECT_EQ(made.code, 0) << made.output;

    const Ran added = run_at_terminal({"add", "team"}, {"open sesame\n", "canary\n", "canary\n"});
    EXPECT_EQ(added.code, 0) << added.output;

    const Ran listed = run_at_terminal({"list"}, {"open sesame\n"});
    EXPECT_THAT(listed.output, HasSubstr("team"));
    for (const Ran& ran : {made, added, listed}) {
        EXPECT_THAT(ran.output, Not(HasSubstr("sesame")));
        EXPECT_THAT(ran.output, Not(HasSubstr("canary")));
    }
}

TEST_F(StoreCommands, TwoAnswersThatDifferChangeNothing) {
    const Ran made = run_at_terminal({"init"}, {"one\n", "two\n"});
    EXPECT_EQ(made.code, 1);
    EXPECT_THAT(made.output, HasSubstr("differ"));
    EXPECT_NE(::access(store().c_str(), F_OK), 0);
}

TEST_F(StoreCommands, ControlCAtAQuestionIsAnInterruption) {
    EXPECT_EQ(run_at_terminal({"init"}, {"\x03"}).code, 130);
    EXPECT_NE(::access(store().c_str(), F_OK), 0);
}

TEST_F(StoreCommands, ABackupHoldsTheSealedBytesAndRestoresTheStore) {
    init_with_key_file();
    ASSERT_EQ(run({"add", "team"}, "canary-value\n").code, 0);
    const std::string sealed = read_file(store(), 65536).value();
    const Ran backed_up = run({"backup", folder_ / "copy"});
    ASSERT_EQ(backed_up.code, 0) << backed_up.errors;
    EXPECT_EQ(read_file(folder_ / "copy", 65536).value(), sealed);
    EXPECT_THAT(sealed + backed_up.output + backed_up.errors, Not(HasSubstr("canary-value")));
    struct stat status {};
    ASSERT_EQ(::stat((folder_ / "copy").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    ASSERT_EQ(::unlink(store().c_str()), 0);

    const Ran restored = run({"restore", folder_ / "copy"});

    EXPECT_EQ(restored.code, 0) << restored.errors;
    EXPECT_THAT(restored.errors, HasSubstr("with 1 item(s)"));
    EXPECT_THAT(run({"list"}).output, HasSubstr("team"));
}

TEST_F(StoreCommands, ABackupNeverOverwritesUnlessAskedAndNeverTheStoreItself) {
    init_with_key_file();
    std::ofstream(folder_ / "mine") << "something else";
    const Ran refused = run({"backup", folder_ / "mine"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("--replace"));
    EXPECT_EQ(read_file(folder_ / "mine", 100).value(), "something else");
    EXPECT_EQ(run({"backup", store(), "--replace"}).code, 1);
    ASSERT_EQ(::symlink(store().c_str(), (folder_ / "link").c_str()), 0);
    EXPECT_EQ(run({"backup", folder_ / "link", "--replace"}).code, 1);
    EXPECT_EQ(run({"backup", folder_ / "new", "--dry-run"}).code, 0);
    EXPECT_NE(::access((folder_ / "new").c_str(), F_OK), 0);

    EXPECT_EQ(run({"backup", folder_ / "mine", "--replace"}).code, 0);
    EXPECT_EQ(read_file(folder_ / "mine", 65536).value(), read_file(store(), 65536).value());
}

TEST_F(StoreCommands, ADryBackupIsRefusedWhereTheRealOneIsAndInTheSameWords) {
    init_with_key_file();
    std::ofstream(folder_ / "mine") << "something else";
    for (const std::string& copy : {folder_ / "mine", folder_ / "absent/copy", folder_ / "mine/copy", store()}) {
        const Ran dry = run({"backup", copy, "--dry-run"});
        const Ran real = run({"backup", copy});
        EXPECT_EQ(dry.code, 1) << dry.errors;
        EXPECT_EQ(real.code, 1) << real.errors;
        EXPECT_EQ(dry.errors, real.errors);
        EXPECT_THAT(real.errors, StartsWith("sanctum vault: " + copy + ": ")) << "what was typed, no temporary name";
    }
    EXPECT_THAT(run({"backup", folder_ / "absent/copy"}).errors, HasSubstr("absent: No such file or directory"));
    EXPECT_EQ(run({"backup", folder_ / "mine", "--replace", "--dry-run"}).code, 0);
    EXPECT_EQ(read_file(folder_ / "mine", 100).value(), "something else");
}

TEST_F(StoreCommands, RestoringWhatIsNoBackupIsAFailureAndNotALockedStore) {
    init_with_key_file();
    ASSERT_EQ(run({"backup", folder_ / "copy"}).code, 0);
    ASSERT_EQ(::chmod((folder_ / "copy").c_str(), 0622), 0);

    const Ran of_folder = run({"restore", folder_.path(), "--replace"});
    const Ran of_open_file = run({"restore", folder_ / "copy", "--replace"});

    EXPECT_EQ(of_folder.code, 1);
    EXPECT_THAT(of_folder.errors, HasSubstr("not a regular file"));
    EXPECT_EQ(of_open_file.code, 1);
    EXPECT_THAT(of_open_file.errors, HasSubstr("chmod 600"));

    const Ran of_other_file = run({"restore", "/etc/passwd", "--replace"});
    EXPECT_EQ(of_other_file.code, 1);
    EXPECT_THAT(of_other_file.errors, HasSubstr("/etc/passwd: is no backup of a store"));
    const Ran of_itself = run({"restore", store(), "--replace"});
    EXPECT_EQ(of_itself.code, 2);
    EXPECT_THAT(of_itself.errors, HasSubstr("is the store itself"));
}

TEST_F(StoreCommands, RestoreReplacesAStoreOnlyWhenAskedAndKeepsTheOldOneBeside) {
    init_with_key_file();
    ASSERT_EQ(run({"backup", folder_ / "empty"}).code, 0);
    ASSERT_EQ(run({"add", "of-the-old-store"}, "value\n").code, 0);
    const std::string before = read_file(store(), 65536).value();

    const Ran refused = run({"restore", folder_ / "empty"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("nothing was changed"));
    EXPECT_EQ(read_file(store(), 65536).value(), before);

    const Ran restored = run({"restore", folder_ / "empty", "--replace"});
    ASSERT_EQ(restored.code, 0) << restored.errors;
    EXPECT_THAT(run({"list"}).output, Not(HasSubstr("of-the-old-store")));
    const std::size_t at = restored.errors.find("kept as ");
    ASSERT_NE(at, std::string::npos);
    std::string kept = restored.errors.substr(at + 8);
    kept.pop_back();
    EXPECT_EQ(read_file(kept, 65536).value(), before);
}

TEST_F(StoreCommands, ADamagedBackupOrOneWithAnotherKeyRestoresNothing) {
    init_with_key_file();
    const std::string before = read_file(store(), 65536).value();
    std::string damaged = before;
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    ASSERT_TRUE(write_file_atomically(folder_ / "damaged", damaged, 0600));
    ASSERT_EQ(run({"init", "--store", folder_ / "other", "--key-file", folder_ / "other.key"}).code, 0);

    for (const std::string& file : {folder_ / "damaged", folder_ / "other", folder_ / "absent"}) {
        const Ran ran = run({"restore", file, "--replace"});
        EXPECT_NE(ran.code, 0) << file;
        EXPECT_THAT(ran.errors, Not(HasSubstr("restored"))) << file;
        EXPECT_EQ(read_file(store(), 65536).value(), before) << file;
    }
}

TEST_F(StoreCommands, ALockedStoreIsExitCode4WithTheRemedy) {
    ASSERT_EQ(run_at_terminal({"init"}, {"p\n", "p\n"}).code, 0);
    for (const auto& arguments : {std::vector<std::string>{"list"}, {"add", "x"}, {"remove", "x"}, {"unlock"}}) {
        const Ran ran = run(arguments, "v");
        EXPECT_EQ(ran.code, 4) << arguments[0];
        EXPECT_THAT(ran.errors, HasSubstr("store is locked"));
    }
}

TEST_F(StoreCommands, AnItemIsReplacedOnlyOnDemandAndRemovedByName) {
    init_with_key_file();
    ASSERT_EQ(run({"add", "team"}, "one").code, 0);

    EXPECT_EQ(run({"add", "team"}, "two").code, 1);
    EXPECT_EQ(run({"add", "team", "--replace"}, "two").code, 0);
    EXPECT_EQ(run({"remove", "nope"}).code, 1);
    EXPECT_EQ(run({"remove", "team", "--dry-run"}).code, 0);
    EXPECT_THAT(run({"list"}).output, HasSubstr("team"));
    EXPECT_EQ(run({"remove", "team"}).code, 0);
    EXPECT_EQ(run({"list"}).output, "");
}

TEST_F(StoreCommands, BadNamesAndValuesAreRefusedAndChangeNothing) {
    init_with_key_file();
    EXPECT_EQ(run({"add", "a b"}, "v").code, 2);
    EXPECT_EQ(run({"add", "../x"}, "v").code, 2);
    EXPECT_EQ(run({"add", "x"}, "").code, 1);
    EXPECT_EQ(run({"add", "x"}, "\n").code, 1);
    EXPECT_EQ(run({"add", "x"}, std::string(100'000, 'v')).code, 1);
    EXPECT_EQ(run({"list"}).output, "");
    EXPECT_EQ(run({"add", "x"}, "v").code, 0);
}

TEST_F(StoreCommands, AWrongCommandLineIsExitCode2AndHelpHasAnExample) {
    EXPECT_EQ(run({}).code, 2);
    EXPECT_EQ(run({"frobnicate"}).code, 2);
    EXPECT_EQ(run({"unlock", "--for", "9d"}).code, 2);
    EXPECT_EQ(run({"list", "--unlock", "tpm"}).code, 1) << "no store yet comes first";
    for (const char* command : {"init", "add", "list", "remove", "unlock", "lock"}) {
        const Ran help = run({command, "--help"});
        EXPECT_EQ(help.code, 0);
        EXPECT_THAT(help.output, HasSubstr("Example:\n  "));
        EXPECT_THAT(help.output, HasSubstr(std::string("sanctum vault ") + command));
    }
}

TEST_F(StoreCommands, AUsageErrorNamesProgramAndCommand) {
    EXPECT_EQ(run({"add"}).errors, "sanctum vault: name is required (sanctum vault add --help)\n");
    EXPECT_EQ(run({"add", "team", "--replcae"}).errors,
              "sanctum vault: unknown option `--replcae`: did you mean `--replace`? (sanctum vault add --help)\n");
    EXPECT_EQ(run({"--frob"}).errors, "sanctum vault: unknown option `--frob` (sanctum vault --help)\n");
    EXPECT_EQ(run({"list", "--store", ""}).errors,
              "sanctum vault: --store: its value is empty (sanctum vault list --help)\n");
}

TEST_F(StoreCommands, ADamagedStoreIsNamedAndNotOverwritten) {
    init_with_key_file();
    std::string bytes = read_file(store(), 65536).value();
    bytes[bytes.size() - 1] = static_cast<char>(bytes[bytes.size() - 1] ^ 1);
    ASSERT_TRUE(write_file_atomically(store(), bytes, 0600));

    const Ran ran = run({"add", "x"}, "v");

    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.errors, HasSubstr("damaged"));
    EXPECT_THAT(ran.errors, HasSubstr(store()));
    EXPECT_EQ(read_file(store(), 65536).value(), bytes);
}

}  // namespace
}  // namespace sanctum::vault
