// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/trusted_process.hpp"

#include "launcher/confine/kernel.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr std::array kVaultVariables = {
    "HOME",         "PATH",           "USER",           "LOGNAME",        "LANG",           "LC_ALL",
    "TZ",           "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "CREDENTIALS_DIRECTORY",
    "GNUPGHOME",    "DBUS_SESSION_BUS_ADDRESS"};

// In the child. Async-signal-safe calls only.
[[noreturn]] void become_program(int channel, int report, ChildStderr child_stderr, char* const* arguments,
                                 char* const* environment) {
    int error = settle_in_child(channel, report, child_stderr);
    if (error == 0) {
        report = kChannelDescriptor + 1;
        ::execve(arguments[0], arguments, environment);
        error = errno;
    }
    static_cast<void>(!::write(report, &error, sizeof error));
    ::_exit(127);
}

// The child's exec error, 0 when exec closed the pipe.
int read_exec_error(int report) {
    int error = 0;
    ssize_t size = 0;
    do size = ::read(report, &error, sizeof error);
    while (size < 0 && errno == EINTR);
    return size == static_cast<ssize_t>(sizeof error) ? error : 0;
}

Error exec_error(const std::string& path, int error) {
    Error failed = io_error("start " + path, error);
    if (error == ENOENT) {
        failed.code = Errc::Unsupported;  // not NotFound, which is the command's
        failed.what += " (is Sanctum installed as a whole?)";
    }
    return failed;
}

}  // namespace

ProgramStart program_start(const std::string& role, const Places& places, Talk talk,
                           const std::map<std::string, std::string>& environment) {
    const std::string level = talk == Talk::Verbose ? "info" : "error";
    const std::string program = role == "interceptor" ? places.interceptor() : places.vault();
    ProgramStart start{role, {program}, {"SANCTUM_LOG=" + level}, ChildStderr::Null};
    if (talk == Talk::Verbose) start.child_stderr = ChildStderr::Keep;
    if (role == "interceptor") {
        start.arguments.insert(start.arguments.end(),
                               {"--mission-fd", std::to_string(kChannelDescriptor), "--log", level});
        return start;
    }
    for (const char* name : kVaultVariables) {
        if (const auto found = environment.find(name); found != environment.end()) {
            start.environment.push_back(found->first + "=" + found->second);
        }
    }
    return start;
}

Result<TrustedProcess> start_program(const ProgramStart& start) {
    const std::string& path = start.arguments.front();
    SANCTUM_TRY(auto ends, wire::make_channel_pair());
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) return io_error("start " + path + ": pipe2");
    UniqueFd report_read(report[0]);
    UniqueFd report_write(report[1]);
    const std::vector<char*> arguments = exec_pointers(start.arguments);
    const std::vector<char*> environment = exec_pointers(start.environment);

    const pid_t pid = ::fork();
    if (pid < 0) return io_error("start " + path + ": fork");
    if (pid == 0) {
        become_program(ends.second.get(), report_write.get(), start.child_stderr, arguments.data(), environment.data());
    }
    TrustedProcess process{start.role, pid, false, UniqueFd(kernel::open_process(pid)),
                           wire::Channel(std::move(ends.first)),
                           std::move(report_read), path};
    if (!process.pidfd) {
        Error error = io_error("start " + path + ": pidfd_open");
        kill_program(process);
        return error;
    }
    return process;
}

Status confirm_start(TrustedProcess& process) {
    const UniqueFd report = std::move(process.exec_report);
    const int error = read_exec_error(report.get());
    if (error == 0) return {};
    kill_program(process);
    return exec_error(process.program, error);
}

bool wait_for_end(TrustedProcess& process, std::chrono::milliseconds timeout) {
    if (process.is_reaped || !process.pidfd) return true;  // without its descriptor it was moved away: another's
    pollfd wait{process.pidfd.get(), POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(timeout.count())) <= 0) return false;
    static_cast<void>(::waitpid(process.pid, nullptr, 0));
    process.is_reaped = true;
    return true;
}

void kill_program(TrustedProcess& process) {
    if (process.is_reaped) return;
    // Not waited for yet, so the number is still ours.
    static_cast<void>(::kill(process.pid, SIGKILL));
    while (::waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    process.is_reaped = true;
}

}  // namespace sanctum::launcher
