// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/signals.hpp"

#include <array>
#include <cerrno>
#include <sys/signalfd.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr std::array kAsEvents = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,  SIGUSR1,
                                  SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH, SIGCHLD};

}  // namespace

Result<Signals> Signals::block() {
    sigset_t events;
    sigemptyset(&events);
    for (const int signal : kAsEvents) sigaddset(&events, signal);
    sigset_t blocked = events;
    sigaddset(&blocked, SIGTTOU);
    sigaddset(&blocked, SIGTTIN);
    sigaddset(&blocked, SIGPIPE);
    sigaddset(&blocked, SIGXFSZ);  // under `ulimit -f` a write then fails with EFBIG, like one to a full disk
    if (::sigprocmask(SIG_BLOCK, &blocked, nullptr) != 0) return io_error("signals: sigprocmask");
    // An ignored CHLD (inherited from a careless parent) would reap our children before we can ask how they ended.
    // The others keep their disposition, so that an agent under nohup(1) inherits what a plain exec would give it.
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    if (::sigaction(SIGCHLD, &usual, nullptr) != 0) return io_error("signals: sigaction");
    UniqueFd fd(::signalfd(-1, &events, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return io_error("signals: signalfd");
    return Signals(std::move(fd));
}

std::optional<int> Signals::next() const {
    signalfd_siginfo information{};
    ssize_t size = 0;
    do size = ::read(fd_.get(), &information, sizeof information);
    while (size < 0 && errno == EINTR);
    if (size != static_cast<ssize_t>(sizeof information)) return std::nullopt;
    return static_cast<int>(information.ssi_signo);
}

void Signals::reset_in_child() {
    sigset_t none;
    sigemptyset(&none);
    static_cast<void>(::sigprocmask(SIG_SETMASK, &none, nullptr));
}

void stop_own_group(int signal) {
    // The group and not only us: in `sanctum-run … | less` the terminal would have stopped both.
    if (signal == SIGSTOP) {
        static_cast<void>(::kill(0, SIGSTOP));
        return;
    }
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    static_cast<void>(::kill(0, signal));
    static_cast<void>(::sigprocmask(SIG_UNBLOCK, &only, nullptr));  // stops here
    static_cast<void>(::sigprocmask(SIG_BLOCK, &only, nullptr));    // continued
}

}  // namespace sanctum::launcher
