// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/init_loop.hpp"

#include "base/confinement/landlock.hpp"
#include "base/confinement/self_confinement.hpp"
#include "base/unique_fd.hpp"
#include "launcher/confine/reports.hpp"
#include "launcher/confine/spawn.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using What = InitEvent::What;

constexpr AllowedCall kCallsOfInit[] = {
#ifdef SYS_poll
    {SYS_poll, "waits for events"},
#endif
    {SYS_ppoll, "waits for events"},
    {SYS_recvmsg, "orders"},
    {SYS_sendmsg, "events"},
    {SYS_wait4, "reaps"},
    {SYS_kill, "passes signals on, ends the tree"},
};

[[noreturn]] void end_everything() {
    ::kill(-1, SIGKILL);
    ::_exit(0);
}

/// The launcher reads slowly or not at all: a lost event of a running agent must not stop init.
void tell(const InitLoop& loop, What what, int value) {
    [[maybe_unused]] const Status sent = send_report(loop.events, static_cast<std::uint8_t>(what), value);
}

Status open_timer(InitLoop& loop, std::int64_t ends_boot_ms) {
    loop.timer = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop.timer < 0) return io_error("timerfd_create");
    itimerspec at{};
    at.it_value.tv_sec = ends_boot_ms / 1000;
    at.it_value.tv_nsec = ends_boot_ms % 1000 * 1'000'000;
    if (::timerfd_settime(loop.timer, TFD_TIMER_ABSTIME, &at, nullptr) != 0) return io_error("timerfd_settime");
    return {};
}

Status watch_children(InitLoop& loop) {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    loop.children = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    if (loop.children < 0) return io_error("signalfd");
    return {};
}

/// After the last change of credentials, which would clear it. The launcher's pid cannot be compared (it has none in
/// this namespace), so the pipe tells whether it went before the signal was asked for.
Status die_with_launcher(const InitLoop& loop) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return io_error("PR_SET_PDEATHSIG");
    pollfd alive{loop.alive, POLLIN, 0};
    if (::poll(&alive, 1, 0) < 0) return io_error("poll");
    if (alive.revents != 0) return Error{Errc::Cancelled, "the launcher is gone"};
    return {};
}

void report_change(InitLoop& loop, int status) {
    if (WIFSTOPPED(status)) return tell(loop, What::Stopped, WSTOPSIG(status));
    if (WIFCONTINUED(status)) return tell(loop, What::Continued, 0);
    if (WIFSIGNALED(status)) tell(loop, What::Signalled, WTERMSIG(status));
    else tell(loop, What::Exited, WEXITSTATUS(status));
    end_everything();
}

void read_started(InitLoop& loop) {
    std::uint8_t failed = 0;
    const ssize_t size = ::read(loop.started, &failed, sizeof failed);
    if (size < 0) return;  // stopped before its start
    if (size == 0) tell(loop, What::Started, 0);
    ::close(loop.started);
    loop.started = -1;  // a failed start is on the gate; the exit status follows
}

void reap(InitLoop& loop) {
    signalfd_siginfo ignored{};
    while (::read(loop.children, &ignored, sizeof ignored) > 0) {}
    for (;;) {
        int status = 0;
        const pid_t child = ::waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED);
        if (child <= 0) return;
        if (child != loop.agent) continue;
        if (loop.started >= 0) read_started(loop);
        report_change(loop, status);
    }
}

void signal_agent(const InitLoop& loop, int signal) {
    if (::kill(-loop.agent, signal) != 0) ::kill(loop.agent, signal);
}

void obey(InitLoop& loop) {
    const Result<std::optional<Report>> order = receive_report(loop.events, MSG_DONTWAIT);
    if (!order) end_everything();
    if (!*order) return;
    switch (static_cast<InitOrder>((*order)->what)) {
        case InitOrder::Forward: return signal_agent(loop, (*order)->value);
        case InitOrder::Terminate: end_everything();
        case InitOrder::Freeze: ::kill(-1, SIGSTOP); return;
        case InitOrder::Thaw: ::kill(-1, SIGCONT); return;
    }
    end_everything();
}

}  // namespace

Status prepare_init_loop(InitLoop& loop, std::int64_t ends_boot_ms) {
    // A launcher that does not read must not hold init up; its closing is seen on `alive`.
    if (::fcntl(loop.events, F_SETFL, O_NONBLOCK) != 0) return io_error("fcntl");
    SANCTUM_CHECK(open_timer(loop, ends_boot_ms));
    SANCTUM_CHECK(watch_children(loop));
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return io_error("set no_new_privs");
    SANCTUM_CHECK(drop_capabilities());
    SANCTUM_CHECK(die_with_launcher(loop));
    SelfConfinement confinement;
    confinement.calls.assign(std::begin(kCallsOfInit), std::end(kCallsOfInit));
    // A kernel without Landlock is accepted or refused by the plan; init touches no file in either case.
    if (landlock_abi() == 0) confinement.files = SelfConfinement::FileDomain::None;
    return confine_self(confinement);
}

void run_init_loop(InitLoop& loop) {
    for (;;) {
        std::array<pollfd, 5> watched{{{loop.alive, POLLIN, 0},
                                       {loop.timer, POLLIN, 0},
                                       {loop.events, POLLIN, 0},
                                       {loop.started, POLLIN, 0},
                                       {loop.children, POLLIN, 0}}};
        if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) end_everything();
        if (watched[0].revents != 0) end_everything();
        if (watched[1].revents != 0) {
            tell(loop, What::TimeRanOut, 0);
            end_everything();
        }
        if (watched[2].revents != 0) obey(loop);
        if (watched[3].revents != 0) read_started(loop);
        if (watched[4].revents != 0) reap(loop);
    }
}

}  // namespace sanctum::launcher
