// SPDX-License-Identifier: Apache-2.0
// Tries system calls that an agent must not have. Each attempt is made so that it does harm nowhere if it is reached.
#include "tests/probes/probe.hpp"

#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <set>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace {

using probe::report_call;

constexpr const char* kUsage =
    "probe_kernel call NUMBER [ARG]... | reached FIRST LAST | int80 | x32 | inject [high] | unshare | clone | setns | "
    "dumpable";

/// What ends, blocks or signals the caller is not tried with wild arguments.
bool is_unsafe_to_try(long number) {
    static const std::set<long> kUnsafe{
        SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_clone, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigsuspend,
        SYS_rt_sigtimedwait, SYS_close_range, SYS_munmap, SYS_brk, SYS_ppoll, SYS_pselect6, SYS_reboot, SYS_setpriority,
#ifdef __x86_64__
        SYS_fork, SYS_vfork, SYS_pause, SYS_arch_prctl,
#endif
    };
    return kUnsafe.contains(number);
}

int call(int count, char** words) {
    long argument[6] = {};
    const long number = std::strtol(words[2], nullptr, 0);
    for (int at = 3; at < count && at < 9; ++at) argument[at - 3] = std::strtol(words[at], nullptr, 0);
    return report_call("call", ::syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
        argument[5]));
}

/// Numbers that the kernel answered with anything but ENOSYS, tried one by one in a child with invalid arguments.
int list_reached(long first, long last) {
    std::string reached;
    for (long number = first; number <= last; ++number) {
        if (is_unsafe_to_try(number)) continue;
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(2);
            const long returned = ::syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
            ::_exit(returned < 0 && errno == ENOSYS ? 0 : 1);
        }
        int status = 0;
        while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        reached += (reached.empty() ? "" : ",") + std::to_string(number);
    }
    probe::report("reached", 0, ",\"numbers\":[" + reached + "]");
    return 0;
}

/// Runs `attempt` in a child and tells which signal ended it.
int report_death(const char* op, void (*attempt)()) {
    const pid_t child = ::fork();
    if (child == 0) {
        attempt();
        ::_exit(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status)) {
        std::printf("{\"op\":\"%s\",\"result\":\"killed\",\"signal\":\"SIG%s\"}\n", op,
            ::sigabbrev_np(WTERMSIG(status)));
    } else {
        probe::report(op, 0);
    }
    return 0;
}

/// A 32-bit system call: getpid, then 20.
void call_foreign_architecture() {
#ifdef __x86_64__
    long returned = 20;
    asm volatile("int $0x80" : "+a"(returned) : : "memory");
#endif
}

int inject(bool high) {
    const int terminal = ::open("/dev/tty", O_RDWR);
    const long request = high ? TIOCSTI | (1L << 32) : TIOCSTI;
    const char typed = '!';
    return report_call("inject", ::syscall(SYS_ioctl, terminal < 0 ? 0 : terminal, request, &typed));
}

int clone_namespace() {
    const long child = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0) ::_exit(0);
    return report_call("clone", child);
}

int enter_own_namespace() {
    const int own = ::open("/proc/self/ns/user", O_RDONLY);
    return report_call("setns", own < 0 ? -1 : ::syscall(SYS_setns, own, 0));
}

}  // namespace

int main(int count, char** words) {
    probe::require_mission();
    const std::string op = count > 1 ? words[1] : "";
    if (op == "call" && count >= 3) return call(count, words);
    if (op == "reached" && count == 4) return list_reached(std::atol(words[2]), std::atol(words[3]));
    if (op == "int80") return report_death("int80", call_foreign_architecture);
    if (op == "x32") return report_call("x32", ::syscall(0x40000000L | SYS_getpid));
    if (op == "inject") return inject(count == 3);
    if (op == "unshare") return report_call("unshare", ::unshare(CLONE_NEWUSER));
    if (op == "clone") return clone_namespace();
    if (op == "setns") return enter_own_namespace();
    if (op == "dumpable") return report_call("dumpable", ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    probe::usage(kUsage);
}
