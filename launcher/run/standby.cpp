// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/standby.hpp"

#include "base/limits.hpp"
#include "launcher/run/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace sanctum::launcher {
namespace {

constexpr char kReapLeases = 'V';
constexpr char kReapEarlier = 'B';
constexpr char kDismiss = 'D';

constexpr std::array kReaperVariables = {
    "HOME",          "PATH",           "USER",           "LOGNAME",         "LANG",                 "LC_ALL", "TZ",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "CREDENTIALS_DIRECTORY",
    "SANCTUM_CONFIG"};

std::vector<std::string> reaper_environment(const std::map<std::string, std::string>& environment) {
    std::vector<std::string> result;
    for (const char* name : kReaperVariables) {
        if (const auto found = environment.find(name); found != environment.end()) {
            result.push_back(found->first + "=" + found->second);
        }
    }
    return result;
}

std::vector<std::string> background_reaper(const Places& places) {
    return {places.programs + "/sanctum", "reap", "--background"};
}

/// What the child may become, as pointers made before the fork.
struct Becomes {
    char* const* reap_leases;
    char* const* reap_all;
    char* const* environment;
};

// The next order, 0 when the launcher is gone.
char next_order() {
    char order = 0;
    ssize_t size = 0;
    do size = ::read(kChannelDescriptor, &order, 1);
    while (size < 0 && errno == EINTR);
    return size == 1 ? order : '\0';
}

[[noreturn]] void become(char* const* arguments, char* const* environment) {
    ::close(kChannelDescriptor);
    ::signal(SIGCHLD, SIG_DFL);
    ::execve(arguments[0], arguments, environment);
    ::_exit(127);
}

// The child's whole life. Async-signal-safe.
[[noreturn]] void stand_by(int socket, const Becomes& becomes) {
    if (settle_in_child(socket, -1, ChildStderr::Null) != 0) ::_exit(1);
    ::signal(SIGCHLD, SIG_IGN);  // its own child is nobody's business
    char order = next_order();
    for (; order == kReapEarlier; order = next_order()) {
        if (::fork() == 0) become(becomes.reap_all, becomes.environment);
    }
    if (order == kDismiss) ::_exit(0);
    if (order != kReapLeases) become(becomes.reap_all, becomes.environment);
    if (::dup2(kChannelDescriptor, STDOUT_FILENO) < 0) ::_exit(1);
    become(becomes.reap_leases, becomes.environment);
}

}  // namespace

Result<Standby> Standby::start(const Places& places, const std::string& mission,
                               const std::map<std::string, std::string>& environment) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return io_error("standby: socketpair");
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const std::vector<std::string> leases = {places.programs + "/sanctum-vault", "reap", "--json", "--mission", mission,
                                             "--state", places.state};
    const std::vector<std::string> all = background_reaper(places);
    const std::vector<std::string> variables = reaper_environment(environment);
    const std::vector<char*> leases_arguments = exec_pointers(leases);
    const std::vector<char*> all_arguments = exec_pointers(all);
    const std::vector<char*> variable_pointers = exec_pointers(variables);
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("standby: fork");
    if (pid == 0) {
        stand_by(theirs.get(), {leases_arguments.data(), all_arguments.data(), variable_pointers.data()});
    }
    return Standby(std::move(ours), pid);
}

Result<std::string> Standby::reap_leases(std::chrono::milliseconds timeout) {
    if (!socket_) return Error{Errc::Internal, "standby: asked twice"};
    if (::send(socket_.get(), &kReapLeases, 1, MSG_NOSIGNAL) != 1) return io_error("standby: send");
    std::string output;
    for (;;) {
        pollfd wait{socket_.get(), POLLIN, 0};
        const int ready = ::poll(&wait, 1, static_cast<int>(timeout.count()));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return Error{Errc::Timeout, "standby: the reaper did not finish in time"};
        std::array<char, 4096> bytes{};
        const ssize_t size = ::read(socket_.get(), bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return io_error("standby: read");
        if (size == 0) break;
        output.append(bytes.data(), static_cast<std::size_t>(size));
        if (output.size() > kSmallFileBytesMax) return Error{Errc::Limit, "standby: the reaper said too much"};
    }
    static_cast<void>(::waitpid(pid_, nullptr, 0));
    socket_.reset();
    return output;
}

void Standby::dismiss() {
    if (!socket_) return;
    static_cast<void>(::send(socket_.get(), &kDismiss, 1, MSG_NOSIGNAL));
    socket_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Status Standby::reap_earlier_missions() {
    if (!socket_ || ::send(socket_.get(), &kReapEarlier, 1, MSG_NOSIGNAL) != 1) return io_error("standby: send");
    return {};
}

}  // namespace sanctum::launcher
