// SPDX-License-Identifier: Apache-2.0
// CommandRunner: a small process that runs the operator's programs for `command` sources.
//
// The vault forks it before it opens the store and before it locks itself up: the helper may execute, knows no secret
// of ours, and is asked by the index of a command only, so that a taken-over vault cannot run anything else.
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

/// One program: absolute path first. `environment` is complete, `NAME=value`.
struct Command {
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
};

/// How a program ended.
struct CommandEnd {
    enum class How : std::uint8_t { Output, NotStarted, ExitStatus, Signal, TooLong, TimedOut, Lost } how = How::Lost;
    int number = 0;  ///< error number, exit status or signal
    Secret output;   ///< Output only: all that it printed
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
    void run(std::uint32_t index, std::function<void(CommandEnd)> done);

private:
    void take_answers();
    void lose_all();

    PollLoop& loop_;
    UniqueFd socket_;
    pid_t helper_;
    std::uint64_t asked_ = 0;
    std::map<std::uint64_t, std::function<void(CommandEnd)>> waiting_;
};

/// The environment every program gets: PATH of the system, HOME USER LOGNAME LANG XDG_RUNTIME_DIR and the session
/// bus of this user, and nothing else.
[[nodiscard]] std::vector<std::string> environment_for_commands(const std::map<std::string, std::string>& own);

}  // namespace sanctum::vault
