// SPDX-License-Identifier: Apache-2.0
// How a trusted process of ours locks itself up after start-up: no capabilities, no new privileges, no dumps, an
// allow-list system-call filter by number, and (interceptor, dialler, vault) a Landlock domain.
//
// The agent's confinement is launcher/confine; this file is for our own processes only.
#pragma once

#include "base/result.hpp"

#include <span>
#include <string>
#include <vector>

namespace sanctum {

/// One system call that a process may still make, with the reason.
struct AllowedCall {
    int number;
    const char* reason;
};

/// A folder or file that stays reachable through Landlock; everything else is refused.
struct AllowedPath {
    std::string path;
    enum class Access { Read, ReadWrite } access;
};

/// What one process of ours keeps.
struct SelfConfinement {
    std::vector<AllowedCall> calls;
    std::vector<AllowedPath> paths;
    enum class FileDomain { Landlock, None } files = FileDomain::Landlock;
    /// Landlock's TCP rights: a process that never connects or binds gives them up too.
    enum class Tcp { Keep, GiveUp } tcp = Tcp::GiveUp;
};

/// PR_SET_DUMPABLE 0, RLIMIT_CORE 0, PR_SET_NO_NEW_PRIVS. The first line of each main(). Errors: Io.
[[nodiscard]] Status become_undumpable();

/// Overwrites the variables that this process was started with, here and in /proc/PID/environ, and has none from here
/// on. For a fork that reads what comes from outside: what the caller keeps in variables is nothing to it. Pointers of
/// getenv(3) then point at empty texts. Single-threaded.
void forget_environment() noexcept;

/// Drops every capability (ambient, bounding where possible, permitted, effective, inheritable). Errors: Io.
[[nodiscard]] Status drop_capabilities();

/// A new user and network namespace for this process: no interface, nothing to reach. Keeps uid and gid (mapped onto
/// themselves). Errors: NotPermitted (with the machine's likely reason), Io.
[[nodiscard]] Status enter_empty_network();

/// Installs the whole of `confinement`, in this order: capabilities, Landlock, filter. Other calls then fail with
/// EPERM; a foreign architecture kills the process. Errors: Unsupported, Io. Any error is fatal to the caller.
[[nodiscard]] Status confine_self(const SelfConfinement& confinement);

/// Calls that every process of ours needs: memory, time, futex, read/write, exit, signals return, rseq and the like.
[[nodiscard]] std::span<const AllowedCall> calls_of_any_process();

}  // namespace sanctum
