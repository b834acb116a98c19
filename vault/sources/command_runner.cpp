// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/command_runner.hpp"

#include "base/limits.hpp"
#include "vault/sources/command_helper.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

constexpr std::size_t kAnswerBytesMax = sizeof(CommandAnswer) + kCommandOutputBytesMax;

bool is_known(std::uint32_t how) { return how <= static_cast<std::uint32_t>(CommandEnd::How::Lost); }

}  // namespace

Result<std::shared_ptr<CommandRunner>> CommandRunner::start(std::vector<Command> commands,
                                                            std::chrono::milliseconds timeout, PollLoop& loop) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return io_error("socketpair");
    UniqueFd ours(ends[0]);
    UniqueFd helpers(ends[1]);
    const pid_t vault = ::getpid();
    const pid_t helper = ::fork();
    if (helper < 0) return io_error("fork");
    if (helper == 0) {
        ours.reset();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != vault) ::_exit(1);
        serve_commands(std::move(helpers), commands, timeout);
    }
    return std::make_shared<CommandRunner>(loop, std::move(ours), helper);
}

CommandRunner::CommandRunner(PollLoop& loop, UniqueFd socket, pid_t helper)
    : loop_(loop), socket_(std::move(socket)), helper_(helper) {
    loop_.watch(socket_.get(), [this] { take_answers(); });
}

CommandRunner::~CommandRunner() {
    if (socket_) loop_.forget(socket_.get());
    socket_.reset();
    while (::waitpid(helper_, nullptr, 0) < 0 && errno == EINTR) {}
}

void CommandRunner::run(std::uint32_t index, std::function<void(CommandEnd)> done) {
    const CommandRequest request{++asked_, index};
    waiting_[request.id] = std::move(done);
    if (!socket_ || ::send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) lose_all();
}

void CommandRunner::take_answers() {
    thread_local std::array<char, kAnswerBytesMax> buffer;
    for (;;) {
        const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return;
        CommandAnswer answer{};
        if (size < static_cast<ssize_t>(sizeof answer)) return lose_all();
        std::memcpy(&answer, buffer.data(), sizeof answer);
        const auto found = waiting_.find(answer.id);
        if (answer.output_size != static_cast<std::size_t>(size) - sizeof answer || !is_known(answer.how) ||
            found == waiting_.end()) {
            wipe(buffer);
            return lose_all();
        }
        CommandEnd end;
        end.how = static_cast<CommandEnd::How>(answer.how);
        end.number = answer.number;
        end.output = Secret(std::string_view(buffer.data() + sizeof answer, answer.output_size));
        wipe({buffer.data(), static_cast<std::size_t>(size)});
        const std::function<void(CommandEnd)> done = std::move(found->second);
        waiting_.erase(found);
        done(std::move(end));
    }
}

void CommandRunner::lose_all() {
    if (socket_) loop_.forget(socket_.get());
    socket_.reset();
    const auto waiting = std::move(waiting_);
    waiting_.clear();
    for (const auto& [id, done] : waiting) done(CommandEnd{});
}

std::vector<std::string> environment_for_commands(const std::map<std::string, std::string>& own) {
    std::vector<std::string> out = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                    "LANG=C.UTF-8"};
    const auto pass = [&](const char* name) {
        const auto found = own.find(name);
        if (found != own.end() && !found->second.empty()) out.push_back(std::string(name) + "=" + found->second);
    };
    for (const char* name : {"HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) {
        pass(name);
    }
    const auto runtime = own.find("XDG_RUNTIME_DIR");
    if (runtime == own.end()) return out;
    const std::string bus = runtime->second + "/bus";
    struct stat status {};
    if (::stat(bus.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) {
        out.push_back("DBUS_SESSION_BUS_ADDRESS=unix:path=" + bus);
    }
    return out;
}

}  // namespace sanctum::vault
