// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/kernel.hpp"

#include <csignal>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum::launcher::kernel {
namespace {

// First version of the kernel's struct clone_args; see clone3(2).
struct CloneArguments {
    std::uint64_t flags;
    std::uint64_t pidfd;
    std::uint64_t child_tid;
    std::uint64_t parent_tid;
    std::uint64_t exit_signal;
    std::uint64_t stack;
    std::uint64_t stack_size;
    std::uint64_t tls;
};

int open_resolved(int folder, const char* path, std::uint64_t resolve) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = resolve;
    return static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
}

}  // namespace

pid_t fork_with_flags(std::uint64_t flags, int* pidfd) {
    CloneArguments arguments{};
    arguments.flags = flags | CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
    arguments.exit_signal = SIGCHLD;
    return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

int open_process(pid_t process) { return static_cast<int>(::syscall(SYS_pidfd_open, process, 0)); }

int open_place(int folder, const char* path) {
    return open_resolved(folder, path, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int open_place_in_root(int root, const char* path) {
    return open_resolved(root, path, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int pivot_root(const char* new_root, const char* put_old) {
    return static_cast<int>(::syscall(SYS_pivot_root, new_root, put_old));
}

int join_new_session_keyring() {
    return static_cast<int>(::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr));
}

}  // namespace sanctum::launcher::kernel
