// SPDX-License-Identifier: Apache-2.0
// SIGTTOU is blocked in the launcher (signals.cpp), so tcsetpgrp and tcsetattr work from the background.
#include "launcher/run/terminal.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

std::optional<termios> modes_of(int tty) {
    termios modes{};
    if (tty < 0 || ::tcgetattr(tty, &modes) != 0) return std::nullopt;
    return modes;
}

// How many pid namespaces down a process lives (NSpid of proc(5)); 0 when it is gone.
std::size_t namespace_depth(pid_t pid) {
    const Result<std::string> status = read_file("/proc/" + std::to_string(pid) + "/status", kProcFileBytesMax);
    if (!status) return 0;
    const std::size_t start = status->find("\nNSpid:");
    if (start == std::string::npos) return 0;
    const std::size_t end = status->find('\n', start + 1);
    const std::string line = status->substr(start, end - start);
    return static_cast<std::size_t>(std::count(line.begin(), line.end(), '\t'));
}

bool is_group_gone(pid_t group) { return group <= 0 || (::kill(-group, 0) != 0 && errno == ESRCH); }

}  // namespace

Terminal::Terminal(UniqueFd tty) : tty_(std::move(tty)), ours_(modes_of(tty_.get())) {}

Terminal Terminal::open() { return Terminal(UniqueFd(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC))); }

Terminal Terminal::over(UniqueFd tty) { return Terminal(std::move(tty)); }

bool Terminal::is_ours() const { return is_there() && ::tcgetpgrp(tty_.get()) == ::getpgrp(); }

void Terminal::take_back() {
    if (!is_there()) return;
    const pid_t foreground = ::tcgetpgrp(tty_.get());
    // In the background (`bg`, or started with `&`) the foreground is the shell's or another job's, and stays so.
    if (foreground <= 0 || namespace_depth(foreground) <= namespace_depth(::getpid())) return;
    agents_group_ = foreground;
    agents_ = modes_of(tty_.get());
    static_cast<void>(::tcsetpgrp(tty_.get(), ::getpgrp()));
    if (ours_) static_cast<void>(::tcsetattr(tty_.get(), TCSADRAIN, &*ours_));
}

void Terminal::lend(pid_t agent_group) {
    if (!is_ours()) return;
    ours_ = modes_of(tty_.get());
    if (agents_) static_cast<void>(::tcsetattr(tty_.get(), TCSADRAIN, &*agents_));
    const pid_t group = is_group_gone(agents_group_) ? agent_group : agents_group_;
    static_cast<void>(::tcsetpgrp(tty_.get(), group));
}

void Terminal::give_back(Modes modes) {
    if (!is_there()) return;
    const pid_t foreground = ::tcgetpgrp(tty_.get());
    if (foreground != ::getpgrp() && is_group_gone(foreground)) {
        static_cast<void>(::tcsetpgrp(tty_.get(), ::getpgrp()));
    }
    if (modes == Modes::Restore && ours_ && is_ours()) {
        static_cast<void>(::tcsetattr(tty_.get(), TCSAFLUSH, &*ours_));
    }
}

}  // namespace sanctum::launcher
