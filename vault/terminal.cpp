// SPDX-License-Identifier: Apache-2.0
#include "vault/terminal.hpp"

#include "base/files.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

constexpr unsigned char kControlC = 0x03;
constexpr unsigned char kControlD = 0x04;
constexpr unsigned char kControlU = 0x15;
constexpr unsigned char kBackspace = 0x08;
constexpr unsigned char kDelete = 0x7f;

// Raw input for one line; restored whatever happens. Signals from the keyboard are read as bytes, so that Ctrl-C
// cannot end the process while the terminal is silent.
class SilentTerminal {
public:
    explicit SilentTerminal(int tty) : tty_(tty) {}
    SilentTerminal(const SilentTerminal&) = delete;
    SilentTerminal& operator=(const SilentTerminal&) = delete;
    ~SilentTerminal() {
        if (is_changed_) ::tcsetattr(tty_, TCSAFLUSH, &before_);
    }
    Status silence() {
        if (::tcgetattr(tty_, &before_) != 0) return io_error("terminal");
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        quiet.c_iflag &= ~static_cast<tcflag_t>(IXON | INLCR | IGNCR);
        quiet.c_iflag |= ICRNL;
        quiet.c_cc[VMIN] = 1;
        quiet.c_cc[VTIME] = 0;
        if (::tcsetattr(tty_, TCSAFLUSH, &quiet) != 0) return io_error("terminal");
        is_changed_ = true;
        return {};
    }

private:
    int tty_;
    termios before_{};
    bool is_changed_ = false;
};

Status wait_for_key(int tty, const PromptLimits& limits) {
    std::array<pollfd, 2> waits = {pollfd{tty, POLLIN, 0}, pollfd{limits.cancel_fd, POLLIN, 0}};
    const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(limits.timeout.count()));
    if (ready < 0 && errno != EINTR) return io_error("terminal");
    if (ready == 0) return Error{Errc::Timeout, "nobody answered at the terminal"};
    if (waits[1].revents != 0) return Error{Errc::Cancelled, "cancelled"};
    if ((waits[0].revents & (POLLERR | POLLNVAL)) != 0) return Error{Errc::Io, "the terminal is gone"};
    return {};
}

// One key into the line. True when the line is complete.
Result<bool> take_key(unsigned char key, LockedBytes& line, std::size_t& used) {
    if (key == '\n' || key == '\r') return true;
    if (key == kControlC || (key == kControlD && used == 0)) return Error{Errc::Cancelled, "cancelled"};
    if (key == kControlD) return true;
    if (key == kControlU) used = 0;
    else if (key == kBackspace || key == kDelete) {
        // A character of several bytes goes as a whole.
        while (used > 0 && (line.data()[used - 1] & 0xc0U) == 0x80U) --used;
        if (used > 0) --used;
    } else if (used == line.size()) {
        return Error{Errc::Limit, "longer than " + std::to_string(line.size()) + " bytes"};
    } else {
        line.data()[used++] = key;
    }
    return false;
}

Result<LockedBytes> read_line(int tty, const PromptLimits& limits) {
    LockedBytes line(limits.bytes_max);
    std::size_t used = 0;
    for (;;) {
        SANCTUM_CHECK(wait_for_key(tty, limits));
        unsigned char key = 0;
        const ssize_t size = ::read(tty, &key, 1);
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (size < 0) return io_error("terminal");
        if (size == 0) return Error{Errc::Cancelled, "the terminal was closed"};
        SANCTUM_TRY(const bool is_complete, take_key(key, line, used));
        if (is_complete) break;
    }
    line.shrink(used);
    return line;
}

}  // namespace

Result<LockedBytes> read_hidden_line(int tty, const std::string& prompt, const PromptLimits& limits) {
    SilentTerminal terminal(tty);
    SANCTUM_CHECK(terminal.silence());
    tell_terminal(tty, prompt);
    Result<LockedBytes> line = read_line(tty, limits);
    tell_terminal(tty, "\n");
    return line;
}

void tell_terminal(int tty, const std::string& text) {
    if (const Status written = write_all(tty, text); !written) return;
}

Result<UniqueFd> open_terminal() {
    UniqueFd tty(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!tty || ::isatty(tty.get()) == 0) return Error{Errc::NotFound, "there is no terminal to ask at"};
    return tty;
}

}  // namespace sanctum::vault
