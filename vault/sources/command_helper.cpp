// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/command_helper.hpp"

#include "base/clock.hpp"
#include "base/limits.hpp"
#include "vault/sources/watched_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <list>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using How = CommandEnd::How;

constexpr std::size_t kRequestBytesMax = sizeof(CommandRequest) + kCommandWordBytesMax + kCommandOutputBytesMax;

// One program while it runs. Its output is read into memory that is wiped.
struct Running {
    std::uint64_t id = 0;
    pid_t pid = -1;
    UniqueFd process;  // pidfd
    UniqueFd output;
    BootTime deadline;
    std::vector<char> bytes = std::vector<char>(kCommandOutputBytesMax + 1);
    std::size_t used = 0;
    bool is_cut = false;

    Running() = default;
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { wipe(bytes); }
};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

// A request with what came along; wiped.
struct Asked {
    std::uint64_t id = 0;
    std::uint32_t index = 0;
    std::string word;
    std::optional<Secret> input;
};

// Between fork and exec: nothing but system calls. `failed` tells the error number of a failed exec.
[[noreturn]] void become_program(char* const* arguments, char* const* environment, int input, int null, int output,
                                 int failed) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The vault ignores signals; a program of the operator's behaves as it would in a shell.
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(input, 0) == 0 && ::dup2(output, 1) == 1 && ::dup2(null, 2) == 2) {
        ::execve(arguments[0], arguments, environment);
    }
    const int error = errno;
    if (::write(failed, &error, sizeof error) < 0) ::_exit(126);
    ::_exit(127);
}

class Helper {
public:
    Helper(UniqueFd socket, const std::vector<Command>& commands, std::chrono::milliseconds timeout)
        : socket_(std::move(socket)), null_(::open("/dev/null", O_RDWR | O_CLOEXEC)), commands_(commands),
          timeout_(timeout), files_(files_of(commands)) {}

    void serve() {
        while (serve_once()) {}
        for (const Running& running : running_) ::kill(-running.pid, SIGKILL);
    }

private:
    bool serve_once();
    bool take_request();
    static std::vector<std::string> files_of(const std::vector<Command>& commands);
    void start(const Asked& asked);
    void read_file(const Asked& asked);
    void tell_changes();
    Result<std::pair<pid_t, UniqueFd>> launch(const Command& command, const Asked& asked, int& exec_error);
    void read_output(Running& running);
    void settle();
    void finish(Running& running, How how, int number);
    void answer(std::uint64_t id, How how, int number, std::string_view output);
    [[nodiscard]] int milliseconds_left() const;

    SystemClock clock_;
    UniqueFd socket_;
    UniqueFd null_;
    const std::vector<Command>& commands_;
    std::chrono::milliseconds timeout_;
    WatchedFiles files_;
    std::vector<char> request_ = std::vector<char>(kRequestBytesMax);
    std::list<Running> running_;
    std::deque<Asked> queue_;
};

int Helper::milliseconds_left() const {
    std::int64_t left = 3'600'000;
    for (const Running& running : running_) left = std::min(left, running.deadline.ms - clock_.boot().ms);
    return static_cast<int>(std::max<std::int64_t>(left, 0));
}

bool Helper::serve_once() {
    std::vector<pollfd> waits = {{socket_.get(), POLLIN, 0}, {files_.fd(), POLLIN, 0}};
    for (const Running& running : running_) {
        waits.push_back({running.process.get(), POLLIN, 0});
        waits.push_back({running.output.get(), POLLIN, 0});
    }
    if (::poll(waits.data(), waits.size(), milliseconds_left()) < 0 && errno != EINTR) return false;
    if (waits[0].revents != 0 && !take_request()) return false;
    if (waits[1].revents != 0) tell_changes();
    for (Running& running : running_) read_output(running);
    settle();
    while (!queue_.empty() && running_.size() < kCommandsAtOnceMax) {
        const Asked asked = std::move(queue_.front());
        queue_.pop_front();
        start(asked);
    }
    return true;
}

// False when the vault is gone or says something that it never would.
bool Helper::take_request() {
    CommandRequest head{};
    const ssize_t size = ::recv(socket_.get(), request_.data(), request_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    const auto length = static_cast<std::size_t>(size);
    if (length < sizeof head || length > request_.size()) return false;
    std::memcpy(&head, request_.data(), sizeof head);
    const std::string_view rest(request_.data() + sizeof head, length - sizeof head);
    if (head.index >= commands_.size() || head.word_size > std::min(rest.size(), kCommandWordBytesMax)) return false;
    Asked& asked = queue_.emplace_back();
    asked.id = head.id;
    asked.index = head.index;
    asked.word = rest.substr(0, head.word_size);
    if (head.has_input != 0) asked.input.emplace(rest.substr(head.word_size));
    wipe({request_.data(), length});
    return asked.word.find('\0') == std::string::npos;
}

std::vector<std::string> Helper::files_of(const std::vector<Command>& commands) {
    std::vector<std::string> files;
    for (const Command& command : commands) files.push_back(command.file);
    return files;
}

void Helper::tell_changes() {
    for (const std::size_t index : files_.take_changes()) {
        answer(kChangeNotice, How::Output, static_cast<int>(index), {});
    }
}

// Read afresh each time: what it holds now is what counts.
void Helper::read_file(const Asked& asked) {
    std::vector<char> bytes(kCommandOutputBytesMax + 1);
    const Result<std::size_t> size = read_secret_file(commands_[asked.index].file, bytes);
    if (!size) {
        answer(asked.id, How::Unreadable, size.error().code == Errc::NotFound ? ENOENT : EACCES, size.error().what);
    } else if (*size == bytes.size()) {
        answer(asked.id, How::TooLong, 0, {});
    } else {
        answer(asked.id, How::Output, 0, {bytes.data(), *size});
    }
    wipe(bytes);
}

// A pipe that holds all of it already: what a program reads on its standard input never waits for us.
Result<UniqueFd> make_input(const Secret& input) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return io_error("pipe");
    UniqueFd read_end(ends[0]);
    const UniqueFd write_end(ends[1]);
    const std::string_view bytes = input.reveal();
    if (::write(write_end.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
        return io_error("write to a pipe");
    }
    ::fcntl(read_end.get(), F_SETFL, 0);
    return read_end;
}

Result<std::pair<pid_t, UniqueFd>> Helper::launch(const Command& command, const Asked& asked, int& exec_error) {
    UniqueFd input;
    if (asked.input) {
        SANCTUM_TRY(input, make_input(*asked.input));
    }
    int output[2];
    int failed[2];
    if (::pipe2(output, O_CLOEXEC) != 0) return io_error("pipe");
    UniqueFd output_ours(output[0]);
    UniqueFd output_theirs(output[1]);
    if (::pipe2(failed, O_CLOEXEC) != 0) return io_error("pipe");
    UniqueFd failed_ours(failed[0]);
    UniqueFd failed_theirs(failed[1]);
    ::fcntl(output_ours.get(), F_SETFL, O_NONBLOCK);
    const std::vector<char*> arguments = pointers_to(command.arguments);
    std::vector<std::string> settings = command.environment;
    if (!command.variable.empty()) settings.push_back(command.variable + "=" + asked.word);
    const std::vector<char*> environment = pointers_to(settings);
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("fork");
    if (pid == 0) {
        become_program(arguments.data(), environment.data(), input ? input.get() : null_.get(), null_.get(),
                       output_theirs.get(), failed_theirs.get());
    }
    failed_theirs.reset();
    // Ends at once: exec closes the pipe, a failure writes to it.
    ssize_t size = 0;
    do {
        size = ::read(failed_ours.get(), &exec_error, sizeof exec_error);
    } while (size < 0 && errno == EINTR);
    if (size != sizeof exec_error) exec_error = 0;
    return std::pair{pid, std::move(output_ours)};
}

void Helper::start(const Asked& asked) {
    if (!commands_[asked.index].file.empty()) return read_file(asked);
    int exec_error = 0;
    Result<std::pair<pid_t, UniqueFd>> launched = launch(commands_[asked.index], asked, exec_error);
    if (!launched) return answer(asked.id, How::NotStarted, launched.error().sys_errno, {});
    if (exec_error != 0) {
        ::waitpid(launched->first, nullptr, 0);
        return answer(asked.id, How::NotStarted, exec_error, {});
    }
    Running& running = running_.emplace_back();
    running.id = asked.id;
    running.pid = launched->first;
    running.output = std::move(launched->second);
    running.process = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, running.pid, 0)));
    running.deadline = clock_.boot().plus(timeout_);
    if (!running.process) running.deadline = clock_.boot();  // cannot be watched: ended in settle()
}

void Helper::read_output(Running& running) {
    while (running.output && !running.is_cut) {
        const ssize_t size =
            ::read(running.output.get(), running.bytes.data() + running.used, running.bytes.size() - running.used);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return;  // nothing more for now
        if (size == 0) return running.output.reset();
        running.used += static_cast<std::size_t>(size);
        running.is_cut = running.used == running.bytes.size();
    }
}

// Ends what is over: exited, too long, or out of time. A program is over when its own process is; what it left
// behind (an agent in the background that holds the pipe) is not waited for.
void Helper::settle() {
    for (Running& running : running_) {
        siginfo_t status{};
        if (running.is_cut) {
            finish(running, How::TooLong, 0);
        } else if (::waitid(P_PID, static_cast<id_t>(running.pid), &status, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                   status.si_pid == running.pid) {
            read_output(running);
            if (running.is_cut) finish(running, How::TooLong, 0);
            else if (status.si_code != CLD_EXITED) finish(running, How::Signal, status.si_status);
            else if (status.si_status != 0) finish(running, How::ExitStatus, status.si_status);
            else finish(running, How::Output, 0);
        } else if (clock_.boot() >= running.deadline) {
            finish(running, How::TimedOut, 0);
        }
    }
    running_.remove_if([](const Running& running) { return running.pid < 0; });
}

void Helper::finish(Running& running, How how, int number) {
    // The whole session of a program that is cut off goes; one that ended by itself may leave an agent behind.
    if (how == How::TooLong || how == How::TimedOut) ::kill(-running.pid, SIGKILL);
    ::waitpid(running.pid, nullptr, 0);
    running.pid = -1;
    const std::string_view output(running.bytes.data(), how == How::Output ? running.used : 0);
    answer(running.id, how, number, output);
}

void Helper::answer(std::uint64_t id, How how, int number, std::string_view output) {
    CommandAnswer head{id, static_cast<std::uint32_t>(how), number, static_cast<std::uint32_t>(output.size())};
    std::array<iovec, 2> parts = {iovec{&head, sizeof head},
                                  iovec{const_cast<char*>(output.data()), output.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

// Nothing of the vault's comes along: no descriptor but the socket (stdin and stdout are /dev/null already).
void keep_only(UniqueFd& socket) {
    if (socket.get() != 3) {
        ::dup3(socket.get(), 3, O_CLOEXEC);
        socket.reset();
        socket = UniqueFd(3);
    }
    ::syscall(SYS_close_range, 4U, ~0U, 0U);
}

}  // namespace

void serve_commands(UniqueFd socket, const std::vector<Command>& commands, std::chrono::milliseconds timeout) {
    keep_only(socket);
    ::signal(SIGCHLD, SIG_DFL);
    Helper(std::move(socket), commands, timeout).serve();
    ::_exit(0);
}

}  // namespace sanctum::vault
