// SPDX-License-Identifier: Apache-2.0
// The child is forked from a single-threaded process, so unlike between fork and exec elsewhere it may allocate.
#include "launcher/run/witness.hpp"

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/standard_path.hpp"
#include "launcher/confine/kernel.hpp"
#include "launcher/run/child_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace sanctum::launcher {
namespace {

using std::chrono::milliseconds;

constexpr std::array kWitnessVariables = {"HOME",            "USER",          "LOGNAME",
                                          "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"};

// What the child says about one head.
struct Answer {
    bool told = false;
    std::string why;  // when it was not told
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("told", self.told);
        archive("why", self.why);
    }
};

// poll(2) until the deadline; false when the time is over.
bool wait_readable(pollfd* waits, nfds_t count, BootTime deadline) {
    const SystemClock clock;
    for (;;) {
        const std::int64_t left = deadline.ms - clock.boot().ms;
        if (left <= 0) return false;
        const int ready = ::poll(waits, count, static_cast<int>(left));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

void kill_by_pidfd(const UniqueFd& pidfd) {
    static_cast<void>(::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0));
}

// ---- the child ------------------------------------------------------------------------------------------------------

// Runs the command, one head after the other. TERM, which only the launcher sends, ends it at once.
class Teller {
public:
    Teller(std::string command, std::vector<std::string> environment, milliseconds timeout)
        : command_{std::move(command)}, environment_(std::move(environment)), timeout_(timeout) {}

    [[noreturn]] void serve(int socket) {
        if (settle_in_child(socket, -1, ChildStderr::Null) != 0) ::_exit(1);
        ::fcntl(kChannelDescriptor, F_SETFD, FD_CLOEXEC);
        sigset_t term;
        ::sigemptyset(&term);
        ::sigaddset(&term, SIGTERM);
        ::sigprocmask(SIG_BLOCK, &term, nullptr);
        stop_ = UniqueFd(::signalfd(-1, &term, SFD_CLOEXEC));
        if (!stop_) ::_exit(1);
        std::array<char, kWitnessLineBytesMax> line{};
        for (;;) {
            pollfd waits[] = {{stop_.get(), POLLIN, 0}, {kChannelDescriptor, POLLIN, 0}};
            while (::poll(waits, 2, -1) < 0 && errno == EINTR) {
            }
            if (waits[0].revents != 0) ::_exit(0);
            const ssize_t size = ::recv(kChannelDescriptor, line.data(), line.size(), 0);
            if (size < 0 && errno == EINTR) continue;
            if (size <= 0) ::_exit(0);
            const std::string fault = tell(std::string_view(line.data(), static_cast<std::size_t>(size)));
            // Nobody may be there any more to take it: then what was handed over before is still told.
            const std::string answer = wire::to_json(Answer{fault.empty(), fault});
            static_cast<void>(::send(kChannelDescriptor, answer.data(), answer.size(), MSG_NOSIGNAL));
        }
    }

private:
    // Empty when the command has taken the line.
    [[nodiscard]] std::string tell(std::string_view line) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return std::string("pipe: ") + std::strerror(errno);
        const UniqueFd input(ends[0]);
        {
            const UniqueFd output(ends[1]);  // a line is below PIPE_BUF: this never waits
            if (!write_all(output.get(), line)) return std::string("pipe: ") + std::strerror(errno);
        }
        const pid_t pid = ::fork();
        if (pid < 0) return std::string("fork: ") + std::strerror(errno);
        if (pid == 0) become_command(input.get());
        return end_of(pid);
    }

    [[noreturn]] void become_command(int input) {
        sigset_t none;
        ::sigemptyset(&none);
        const bool is_set = ::setsid() >= 0 && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                            ::dup2(input, STDIN_FILENO) == STDIN_FILENO &&
                            ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
        if (is_set) ::execve(command_[0].c_str(), exec_pointers(command_).data(), exec_pointers(environment_).data());
        ::_exit(127);
    }

    // Waits for the command. Whatever it leaves in its process group ends with it; until the leader is reaped, the
    // group's number is nobody else's.
    [[nodiscard]] std::string end_of(pid_t pid) {
        const UniqueFd pidfd(kernel::open_process(pid));
        pollfd waits[] = {{pidfd.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
        const bool is_in_time = pidfd.is_open() && wait_readable(waits, 2, SystemClock().boot().plus(timeout_));
        const bool is_stopped = is_in_time && waits[1].revents != 0 && waits[0].revents == 0;
        if (!is_in_time || is_stopped) kill_by_pidfd(pidfd);
        ::kill(-pid, SIGKILL);
        if (is_stopped) ::_exit(0);
        int status = 0;
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (!is_in_time) return "no end within " + std::to_string(timeout_.count()) + " ms, killed";
        if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
        if (WEXITSTATUS(status) == 0) return "";
        const std::string exit = "exit status " + std::to_string(WEXITSTATUS(status));
        if (WEXITSTATUS(status) != 127 || ::access(command_[0].c_str(), X_OK) == 0) return exit;
        return std::strerror(errno);
    }

    std::vector<std::string> command_;
    std::vector<std::string> environment_;
    milliseconds timeout_;
    UniqueFd stop_;
};

std::vector<std::string> environment_of(const std::map<std::string, std::string>& callers) {
    std::vector<std::string> environment = {"LANG=C.UTF-8", "PATH="};
    environment.back() += kStandardPath;  // joined here, GCC 12 sees an overflow that is none when optimising
    for (const char* name : kWitnessVariables) {
        const auto found = callers.find(name);
        if (found != callers.end()) environment.push_back(found->first + "=" + found->second);
    }
    return environment;
}

}  // namespace

// ---- the launcher ---------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Witness>> Witness::start(const WitnessStart& start) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return io_error("witness: socketpair");
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    Teller teller(start.command, environment_of(start.environment), start.timeout);
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("witness: fork");
    if (pid == 0) teller.serve(theirs.get());
    return std::unique_ptr<Witness>(new Witness(std::move(ours), pid, start.end_timeout));
}

void Witness::tell(const ledger::SignedHead& head) {
    take_answers();
    if (!socket_) return;
    if (waiting_ >= kWitnessHeadsWaitingMax) {
        fault_ = "slower than heads are signed";
        return;
    }
    const std::string line = wire::to_json(head) + "\n";
    const ssize_t sent = ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(line.size())) ++waiting_;
    else fault_ = std::string("not handed over: ") + std::strerror(errno);
}

void Witness::take_answers() {
    while (socket_ && waiting_ > 0 && take_answer()) {
    }
}

// False when there is none yet.
bool Witness::take_answer() {
    std::array<char, kWitnessLineBytesMax> bytes{};
    const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) return true;
    if (size < 0 && errno == EAGAIN) return false;
    if (size <= 0) {
        lose("its process ended");
        return false;
    }
    const auto answer = wire::from_json<Answer>(std::string_view(bytes.data(), static_cast<std::size_t>(size)));
    if (!answer) {
        lose("its process said something unknown");
        return false;
    }
    --waiting_;
    if (answer->told) ++told_;
    else fault_ = answer->why;
    return true;
}

void Witness::lose(const std::string& why) {
    fault_ = why;
    socket_.reset();
}

std::uint64_t Witness::settle() {
    const SystemClock clock;
    const BootTime begin = clock.boot();
    const BootTime deadline = begin.plus(patience_);
    take_answers();
    while (socket_ && waiting_ > 0) {
        pollfd wait{socket_.get(), POLLIN, 0};
        if (!wait_readable(&wait, 1, deadline)) {
            fault_ = "no answer before the end of the mission";
            break;
        }
        take_answers();
    }
    patience_ -= std::min(patience_, milliseconds(clock.boot().ms - begin.ms));
    return told_;
}

void Witness::dismiss() {
    if (pid_ < 0) return;
    socket_.reset();
    const UniqueFd pidfd(kernel::open_process(pid_));
    pollfd wait{pidfd.get(), POLLIN, 0};
    if (waiting_ > 0) ::kill(pid_, SIGTERM);
    if (!pidfd || !wait_readable(&wait, 1, SystemClock().boot().plus(kStopGrace))) ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

}  // namespace sanctum::launcher
