// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/command_runner.hpp"

#include "base/limits.hpp"
#include "vault/sources/command_helper.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

constexpr std::array kPassedOn = {"HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"};
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

void CommandRunner::run(std::uint32_t index, const CommandInput& input, std::function<void(CommandEnd)> done) {
    if (input.word.size() > kCommandWordBytesMax) return done({CommandEnd::How::NotStarted, E2BIG, {}});
    const std::string_view secret = input.input == nullptr ? std::string_view() : input.input->reveal();
    CommandRequest request{++asked_, index, input.input == nullptr ? 0U : 1U,
                           static_cast<std::uint32_t>(input.word.size())};
    waiting_[request.id] = std::move(done);
    std::array<iovec, 3> parts = {iovec{&request, sizeof request},
                                  iovec{const_cast<char*>(input.word.data()), input.word.size()},
                                  iovec{const_cast<char*>(secret.data()), secret.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (!socket_ || ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) lose_all();
}

void CommandRunner::take_answers() {
    thread_local std::array<char, kAnswerBytesMax> buffer;
    for (;;) {
        const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) return lose_all();
        const auto length = static_cast<std::size_t>(size);
        const bool is_whole = take_answer({buffer.data(), length});
        wipe({buffer.data(), length});
        if (!is_whole) return lose_all();
        if (!socket_) return;
    }
}

// False for what a helper of ours would never say.
bool CommandRunner::take_answer(std::string_view bytes) {
    CommandAnswer answer{};
    if (bytes.size() < sizeof answer) return false;
    std::memcpy(&answer, bytes.data(), sizeof answer);
    const std::string_view output = bytes.substr(sizeof answer);
    if (answer.output_size != output.size()) return false;
    if (answer.id == kChangeNotice) {
        const auto watcher = watchers_.find(static_cast<std::uint32_t>(answer.number));
        if (watcher != watchers_.end()) watcher->second();
        return true;
    }
    const auto found = waiting_.find(answer.id);
    if (!is_known(answer.how) || found == waiting_.end()) return false;
    CommandEnd end;
    end.how = static_cast<CommandEnd::How>(answer.how);
    end.number = answer.number;
    end.output = Secret(output);
    const std::function<void(CommandEnd)> done = std::move(found->second);
    waiting_.erase(found);
    done(std::move(end));
    return true;
}

void CommandRunner::lose_all() {
    if (socket_) loop_.forget(socket_.get());
    socket_.reset();
    const auto waiting = std::move(waiting_);
    waiting_.clear();
    for (const auto& [id, done] : waiting) done(CommandEnd{});
}

std::vector<std::string> environment_of_account(const std::string& mission, const std::string& account) {
    std::map<std::string, std::string> own;
    for (const char* name : kPassedOn) {
        if (const char* value = std::getenv(name)) own[name] = value;
    }
    std::vector<std::string> environment = environment_for_commands(own);
    environment.push_back("SANCTUM_MISSION=" + mission);
    environment.push_back("SANCTUM_ACCOUNT=" + account);
    return environment;
}

std::vector<std::string> environment_for_commands(const std::map<std::string, std::string>& own) {
    std::vector<std::string> out = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                    "LANG=C.UTF-8"};
    const auto pass = [&](const char* name) {
        const auto found = own.find(name);
        if (found != own.end() && !found->second.empty()) out.push_back(std::string(name) + "=" + found->second);
    };
    for (const char* name : kPassedOn) pass(name);
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
