// SPDX-License-Identifier: Apache-2.0
// Starting the two other trusted processes, sanctum-interceptor and sanctum-vault, and knowing when they are gone.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/channel.hpp"
#include "launcher/run/child_process.hpp"
#include "launcher/run/options.hpp"

#include <chrono>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace sanctum::launcher {

/// Our end of one running process of ours. Dropping it closes the channel, which the other side takes as "launcher
/// gone"; it is not waited for and not killed.
struct TrustedProcess {
    std::string role;  ///< interceptor | vault
    pid_t pid = -1;    ///< kept after the end, for the record
    bool is_reaped = true;  ///< nothing to wait for: it ended, or was never started
    UniqueFd pidfd;
    wire::Channel channel;
    UniqueFd exec_report{};  ///< until confirm_start()
    std::string program{};   ///< path
};

/// How to start one of them.
struct ProgramStart {
    std::string role;
    std::vector<std::string> arguments;    ///< the first is the absolute path; PATH is never searched
    std::vector<std::string> environment;  ///< complete, `NAME=value`
    ChildStderr child_stderr = ChildStderr::Null;
};

/// The start of a role: program beside ours, log level by `talk`, and for the vault the few variables that sources
/// (a `command`, a systemd credential) need, taken by exact name from `environment`.
[[nodiscard]] ProgramStart program_start(const std::string& role, const Places& places, Talk talk,
                                         const std::map<std::string, std::string>& environment);

/// Forks a child that execs with the channel on kChannelDescriptor and nothing else open; does not wait for the exec.
/// Call it single-threaded. Errors: Io.
[[nodiscard]] Result<TrustedProcess> start_program(const ProgramStart& start);

/// Waits for the exec; a process whose exec failed is reaped. Errors: Unsupported (there is no such program),
/// NotPermitted, Io.
[[nodiscard]] Status confirm_start(TrustedProcess& process);

/// Waits until the process is gone and reaps it. False when it still lives after `timeout`.
[[nodiscard]] bool wait_for_end(TrustedProcess& process, std::chrono::milliseconds timeout);

/// SIGKILL and reap.
void kill_program(TrustedProcess& process);

}  // namespace sanctum::launcher
