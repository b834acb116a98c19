// SPDX-License-Identifier: Apache-2.0
// CommandRunner: a small process that does outside what the vault itself must not: it runs the operator's programs for
// `command` and `rotate`, and reads the files of `file`.
//
// The vault forks it before it opens the store and before it locks itself up: the helper may execute, knows no secret
// of ours, and is asked by the index of a command only, so that a taken-over vault cannot run or read anything else.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "vault/poll_loop.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::vault {

/// One program, or one file that is read instead. `environment` is complete, `NAME=value`.
struct Command {
    std::vector<std::string> arguments;    ///< absolute path first
    std::vector<std::string> environment;
    std::string variable;  ///< what a run says in CommandInput::word gets this name; empty: it is not passed on
    std::string file;      ///< absolute; not empty: nothing is run
};

/// What one run of a program gets besides.
struct CommandInput {
    std::string word;               ///< the value of Command::variable; no secret, no NUL
    const Secret* input = nullptr;  ///< its standard input, at most what a program may print; null: /dev/null
};

/// How a program ended.
struct CommandEnd {
    enum class How : std::uint8_t {
        Output,
        NotStarted,
        ExitStatus,
        Signal,
        TooLong,
        TimedOut,
        Unreadable,
        Lost
    } how = How::Lost;
    int number = 0;  ///< error number, exit status or signal; Unreadable: ENOENT or another
    Secret output;   ///< Output: all that it printed, or the file's content. Unreadable: why, one sentence
};

/// The vault's side. Owned by the sources that use it; single thread.
class CommandRunner {
public:
    /// Forks the helper. `loop` must outlive the runner. Errors: Io.
    [[nodiscard]] static Result<std::shared_ptr<CommandRunner>> start(std::vector<Command> commands,
                                                                      std::chrono::milliseconds timeout,
                                                                      PollLoop& loop);
    CommandRunner(PollLoop& loop, UniqueFd socket, pid_t helper);
    CommandRunner(const CommandRunner&) = delete;
    CommandRunner& operator=(const CommandRunner&) = delete;
    /// Closes the helper's socket, at which it kills what runs and leaves.
    ~CommandRunner();

    /// Runs command `index`; `done` is called once from the loop, or at once when the helper is gone.
    void run(std::uint32_t index, const CommandInput& input, std::function<void(CommandEnd)> done);
    void run(std::uint32_t index, std::function<void(CommandEnd)> done) { run(index, {}, std::move(done)); }

    /// `changed` is called from the loop whenever the file of command `index` is another one, or is gone.
    void on_change(std::uint32_t index, std::function<void()> changed) { watchers_[index] = std::move(changed); }

private:
    void take_answers();
    [[nodiscard]] bool take_answer(std::string_view bytes);
    void lose_all();

    PollLoop& loop_;
    UniqueFd socket_;
    pid_t helper_;
    std::uint64_t asked_ = 0;
    std::map<std::uint64_t, std::function<void(CommandEnd)>> waiting_;
    std::map<std::uint32_t, std::function<void()>> watchers_;
};

/// The environment of an account's programs: environment_for_commands with this process's own, `SANCTUM_MISSION` and
/// `SANCTUM_ACCOUNT`.
[[nodiscard]] std::vector<std::string> environment_of_account(const std::string& mission, const std::string& account);

/// The environment every program gets: PATH of the system, HOME USER LOGNAME LANG XDG_RUNTIME_DIR and the session
/// bus of this user, and nothing else.
[[nodiscard]] std::vector<std::string> environment_for_commands(const std::map<std::string, std::string>& own);

}  // namespace sanctum::vault
