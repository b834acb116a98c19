// SPDX-License-Identifier: Apache-2.0
// The child is forked from a single-threaded process, so unlike between fork and exec elsewhere it may allocate.
#include "launcher/run/standby.hpp"

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "launcher/run/child_process.hpp"
#include "launcher/run/options.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace sanctum::launcher {
namespace {

constexpr char kReapLeases = 'V';
constexpr char kReapEarlier = 'B';
constexpr char kCareForWorkspace = 'W';
constexpr char kStartChild = 'C';
constexpr char kDismiss = 'D';
constexpr char kLauncherGone = '\0';

constexpr std::size_t kChildDescriptors = 3;  // of a child mission's launcher: to us, to the agent, about its parent
constexpr int kOutOfTheChildsWay = 16;

constexpr std::array kReaperVariables = {"HOME",          "PATH",           "USER",
                                         "LOGNAME",       "LANG",           "LC_ALL",
                                         "TZ",            "XDG_CONFIG_HOME", "XDG_DATA_HOME",
                                         "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "CREDENTIALS_DIRECTORY",
                                         "SANCTUM_CONFIG"};

/// What the child may exec.
struct Commands {
    std::vector<std::string> reap_leases;
    std::vector<std::string> reap_all;
    std::vector<std::string> child_mission;
    std::vector<std::string> environment;
    mode_t umask = 077;  ///< the caller's
};

Commands commands_of(const StandbyStart& start) {
    Commands commands;
    commands.reap_leases = {start.places.vault(), "reap",    "--json", "--mission", start.mission,
                            "--state",                                start.places.state};
    commands.reap_all = {start.places.console(), "reap", "--background"};
    commands.child_mission = {start.places.launcher(), std::string(kChildMissionOption)};
    // What is no mask (umask(2) cannot fail, but may be forbidden) must not become one that takes everything away.
    const mode_t before = ::umask(077);
    if (before <= 0777) ::umask(commands.umask = before);
    for (const char* name : kReaperVariables) {
        if (const auto found = start.environment.find(name); found != start.environment.end()) {
            commands.environment.push_back(found->first + "=" + found->second);
        }
    }
    return commands;
}

[[noreturn]] void become(const std::vector<std::string>& command, const Commands& commands) {
    ::execve(command.front().c_str(), exec_pointers(command).data(), exec_pointers(commands.environment).data());
    ::_exit(127);
}

/// A letter, and what comes beside it.
struct Order {
    char what = kLauncherGone;
    std::vector<UniqueFd> descriptors;
};

Order next_order() {
    Order order;
    iovec byte{&order.what, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kChildDescriptors)> control{};
    msghdr message{};
    message.msg_iov = &byte;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t size = 0;
    do size = ::recvmsg(kChannelDescriptor, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size != 1) return {};
    const cmsghdr* part = CMSG_FIRSTHDR(&message);
    if (part == nullptr || part->cmsg_type != SCM_RIGHTS) return order;
    for (std::size_t i = 0; i < (part->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        order.descriptors.emplace_back(fd);
    }
    return order;
}

/// What a child printed, and how it ended: 0, its exit code, or -1 (a signal, or it never began).
struct Printed {
    std::string text;
    std::int32_t end = -1;
};

// What `child` writes to a pipe until it ends; `child` never returns.
template <class Child>
Printed output_of_child(Child child) {
    int ends[2];
    if (::pipe(ends) != 0) return {};
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(kChannelDescriptor);
        ::close(ends[0]);
        child(ends[1]);
        ::_exit(1);
    }
    ::close(ends[1]);
    Printed output;
    std::array<char, 4096> bytes{};
    ssize_t size = 0;
    while ((size = ::read(ends[0], bytes.data(), bytes.size())) != 0) {
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 || output.text.size() > kStandbyAnswerBytesMax) break;
        output.text.append(bytes.data(), static_cast<std::size_t>(size));
    }
    ::close(ends[0]);
    int status = 0;
    pid_t ended = -1;
    do ended = pid > 0 ? ::waitpid(pid, &status, 0) : -1;
    while (ended < 0 && pid > 0 && errno == EINTR);
    if (ended > 0 && WIFEXITED(status)) output.end = WEXITSTATUS(status);
    return output;
}

Printed output_of(const std::vector<std::string>& command, const Commands& commands) {
    return output_of_child([&](int to) {
        ::dup2(to, STDOUT_FILENO);
        ::close(to);
        become(command, commands);
    });
}

void start_besides(const std::vector<std::string>& command, const Commands& commands) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(kChannelDescriptor);
        if (::fork() != 0) ::_exit(0);  // forked twice: nobody has to wait for it
        become(command, commands);
    }
    while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

// Puts the order's descriptors on 3 and up, everything else away, and becomes the launcher.
[[noreturn]] void become_child_launcher(const Order& order, const Commands& commands) {
    std::array<int, kChildDescriptors> high{};
    for (std::size_t i = 0; i < high.size(); ++i) {
        high[i] = ::fcntl(order.descriptors[i].get(), F_DUPFD, kOutOfTheChildsWay);
        if (high[i] < 0) ::_exit(1);
    }
    for (std::size_t i = 0; i < high.size(); ++i) {
        const int wanted = kChannelDescriptor + static_cast<int>(i);
        if (::dup2(high[i], wanted) != wanted) ::_exit(1);
    }
    constexpr unsigned kFirstOther = kChannelDescriptor + kChildDescriptors;
    if (::setsid() < 0 || ::close_range(kFirstOther, ~0U, 0) != 0) ::_exit(1);
    ::umask(commands.umask);
    become(commands.child_mission, commands);
}

void start_child(const Order& order, const Commands& commands) {
    if (order.descriptors.size() != kChildDescriptors) return;
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (::fork() != 0) ::_exit(0);  // forked twice: its end is seen on its channel
        become_child_launcher(order, commands);
    }
    while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

// Each folder in a child of its own: becoming its owner cannot be taken back.
Printed findings_of(const std::vector<WorkspaceCare>& care) {
    WorkspaceFindings all;
    for (const WorkspaceCare& folder : care) {
        const Printed printed = output_of_child([&](int to) {
            const std::string findings = wire::to_json(care_for_workspace_as_owner(folder));
            ::_exit(write_all(to, findings) ? 0 : 1);
        });
        add_findings(all, folder.before.workspace,
                     printed.end == 0 ? wire::from_json<WorkspaceFindings>(printed.text)
                                      : Error{Errc::Io, "what looked at it ended before it was done"});
    }
    return {wire::to_json(all), 0};
}

/// Before the text of an answer.
struct AnswerHead {
    std::uint32_t size = 0;
    std::int32_t end = 0;
};

void answer(const Printed& printed) {
    const AnswerHead head{static_cast<std::uint32_t>(printed.text.size()), printed.end};
    std::string frame(reinterpret_cast<const char*>(&head), sizeof head);
    frame += printed.text;
    if (!write_all(kChannelDescriptor, frame)) ::_exit(1);
}

[[noreturn]] void stand_by(int socket, const Commands& commands,
                           const std::vector<WorkspaceCare>& care) {
    if (settle_in_child(socket, -1, ChildStderr::Null) != 0) ::_exit(1);
    for (;;) {
        const Order order = next_order();
        switch (order.what) {
            case kReapEarlier: start_besides(commands.reap_all, commands); break;
            case kStartChild: start_child(order, commands); break;
            case kReapLeases: answer(output_of(commands.reap_leases, commands)); break;
            case kCareForWorkspace: answer(findings_of(care)); break;
            case kLauncherGone: ::close(kChannelDescriptor); become(commands.reap_all, commands);
            default: ::_exit(0);
        }
    }
}

// Fills `into` before the deadline.
Status read_exactly(int fd, std::string& into, BootTime deadline) {
    const SystemClock clock;
    std::size_t got = 0;
    while (got < into.size()) {
        const std::int64_t left = deadline.ms - clock.boot().ms;
        pollfd wait{fd, POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return Error{Errc::Timeout, "standby: no answer in time"};
        const ssize_t size = ::read(fd, into.data() + got, into.size() - got);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return io_error("standby: read");
        if (size == 0) return Error{Errc::Cancelled, "standby: it is gone"};
        got += static_cast<std::size_t>(size);
    }
    return {};
}

}  // namespace

Result<Standby> Standby::start(const StandbyStart& start) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return io_error("standby: socketpair");
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const Commands commands = commands_of(start);
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("standby: fork");
    if (pid == 0) stand_by(theirs.get(), commands, start.care);
    return Standby(std::move(ours), pid);
}

Result<std::string> Standby::ask(char order, std::chrono::milliseconds timeout) {
    if (!socket_ || ::send(socket_.get(), &order, 1, MSG_NOSIGNAL) != 1) return io_error("standby: send");
    const BootTime deadline = SystemClock().boot().plus(timeout);
    AnswerHead head;
    std::string bytes(sizeof head, '\0');
    SANCTUM_CHECK(read_exactly(socket_.get(), bytes, deadline));
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.size > kStandbyAnswerBytesMax + 4096) return Error{Errc::Limit, "standby: its answer is too long"};
    std::string text(head.size, '\0');
    SANCTUM_CHECK(read_exactly(socket_.get(), text, deadline));
    if (head.end == 0) return text;
    // FAIL-CLOSED: what was printed before it failed may be a part only, or nothing at all.
    const std::string end = head.end < 0 ? "a signal" : "exit code " + std::to_string(head.end);
    return Error{Errc::Io, "standby: what it ran ended with " + end};
}

Status Standby::reap_earlier_missions() {
    if (!socket_ || ::send(socket_.get(), &kReapEarlier, 1, MSG_NOSIGNAL) != 1) return io_error("standby: send");
    return {};
}

Status Standby::start_child_mission(int channel, int client, int parent_file) {
    char order = kStartChild;
    iovec byte{&order, 1};
    const std::array descriptors = {channel, client, parent_file};
    static_assert(descriptors.size() == kChildDescriptors);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
    msghdr message{};
    message.msg_iov = &byte;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(part), descriptors.data(), sizeof descriptors);
    if (!socket_ || ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL) != 1) return io_error("standby: send");
    return {};
}

Result<std::string> Standby::reap_leases(std::chrono::milliseconds timeout) { return ask(kReapLeases, timeout); }

Result<WorkspaceFindings> Standby::care_for_workspace(std::chrono::milliseconds timeout) {
    SANCTUM_TRY(const std::string text, ask(kCareForWorkspace, timeout));
    return wire::from_json<WorkspaceFindings>(text);
}

void Standby::dismiss() {
    if (!socket_) return;
    static_cast<void>(::send(socket_.get(), &kDismiss, 1, MSG_NOSIGNAL));
    socket_.reset();
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace sanctum::launcher
