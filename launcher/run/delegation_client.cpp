// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/delegation_client.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "launcher/plan/fixed_places.hpp"
#include "launcher/run/delegation_words.hpp"
#include "launcher/run/signals.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

std::string variable(const std::map<std::string, std::string>& environment, const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
}

Status refuse_options_of_outside(const Options& options) {
    const char* given = !options.config.empty()   ? "--config"
                        : !options.mounts.empty() ? "--mount"
                        : options.dry_run         ? "--dry-run"
                                                  : nullptr;
    if (given == nullptr) return {};
    return Error{Errc::Unsupported, std::string(given) + " belongs outside: a child mission has what its parent's "
                                                         "profile names (remove it)"};
}

Result<std::string> own_folder(const Options& options) {
    if (!options.working_directory.empty() && ::chdir(options.working_directory.c_str()) != 0) {
        return io_error("--workdir " + options.working_directory);
    }
    std::array<char, kTextCharsMax> path{};
    if (::getcwd(path.data(), path.size()) == nullptr) return io_error("working directory");
    return std::string(path.data());
}

Result<ChildRequest> request_of(const Options& options, const std::map<std::string, std::string>& environment) {
    ChildRequest request;
    request.profile_name = !options.profile.empty() ? options.profile : variable(environment, "SANCTUM_PROFILE");
    if (request.profile_name.empty()) request.profile_name = "mission.toml";
    Result<std::string> text = read_file(request.profile_name, kSmallFileBytesMax);
    if (!text) {
        std::string what = "profile (inside a mission it is a file: --profile FILE, or ./mission.toml): ";
        what += text.error().what;
        return Error{text.error().code, std::move(what)};
    }
    request.profile = std::move(*text);
    request.ttl = options.ttl;
    request.name = options.name;
    request.settings = options.settings;
    request.environment = options.environment;
    SANCTUM_TRY(request.working_directory, own_folder(options));
    request.command = options.command;
    request.variables = environment;
    return request;
}

Result<UniqueFd> connect_outside(const std::string& mission) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket) return io_error("socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string_view place = kDelegateSocket;
    place.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
    if (errno == ENOENT) {
        return Error{Errc::Unsupported, "this is inside mission " + mission +
                                            ", whose profile does not let its agent start another one (write "
                                            "delegate = true under its [mission], or run it from outside)"};
    }
    return io_error("the outer mission's launcher");
}

Status send_request(int socket, const ChildRequest& request) {
    SANCTUM_TRY(const UniqueFd memfd, make_sealed_memfd("sanctum-child", wire::to_json(request)));
    const std::array descriptors = {memfd.get(), STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    return send_child_datagram(socket, kChildRequestWord, descriptors);
}

Ending ending_of(const ChildAnswer& answer) {
    Ending ending;
    ending.exit_code = static_cast<int>(answer.exit_code);
    ending.what = answer.what;
    for (const EndReason reason : {EndReason::Exit, EndReason::Signal, EndReason::Ttl, EndReason::Revoked,
                                   EndReason::Lost, EndReason::Setup}) {
        if (name_of(reason) == answer.reason) ending.reason = reason;
    }
    return ending;
}

Ending failed(const Error& error) { return failed_to_set_up(error.what); }

// Signals go out, answers come in; the last answer is the end.
class Attendance {
public:
    Attendance(UniqueFd socket, const Signals& signals, StatusLines& status)
        : socket_(std::move(socket)), signals_(signals), status_(status) {}

    Ending attend() {
        for (;;) {
            std::array<pollfd, 2> waits = {pollfd{socket_.get(), POLLIN, 0}, pollfd{signals_.fd(), POLLIN, 0}};
            if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return lost(io_error("poll"));
            while (const std::optional<int> signal = signals_.next()) pass_on(*signal);
            Result<std::optional<ChildDatagram>> datagram = receive_child_datagram(socket_.get());
            if (!datagram) return lost(datagram.error());
            if (!*datagram) continue;
            const Result<ChildAnswer> answer = wire::from_json<ChildAnswer>((*datagram)->text);
            if (!answer) return lost(answer.error());
            if (answer->event == "refused") return failed_to_set_up(answer->what);
            if (answer->event == "ended") return ending_of(*answer);
            has_started_ = true;
            status_.started(answer->mission, ::getpid());
        }
    }

private:
    void pass_on(int signal) {
        if (signal == SIGTSTP) return stop_own_group(SIGTSTP);  // the child goes on meanwhile
        if (signal == SIGCHLD || signal == SIGCONT || signal == SIGWINCH) return;
        // Where the other side is gone, the next receive says so.
        static_cast<void>(send_child_datagram(socket_.get(), wire::to_json(ChildSignal{1, signal})).has_value());
    }
    [[nodiscard]] Ending lost(const Error& error) const {
        if (!has_started_) return failed_to_set_up("the outer launcher: " + error.what);
        return ended_by_loss("the child mission's launcher: " + error.what);
    }

    UniqueFd socket_;
    const Signals& signals_;
    StatusLines& status_;
    bool has_started_ = false;
};

}  // namespace

std::string mission_around(const std::map<std::string, std::string>& environment) {
    std::string outer = variable(environment, "SANCTUM_MISSION");
    if (outer.empty() || ::access(kPolicyFile, F_OK) != 0) return "";
    return outer;
}

Ending run_child_mission(const Options& options, const std::map<std::string, std::string>& environment,
                         StatusLines& status) {
    const Result<Signals> signals = Signals::block();
    if (!signals) return failed(signals.error());
    Result<UniqueFd> socket = connect_outside(mission_around(environment));
    if (!socket) return failed(socket.error());
    if (const Status fitting = refuse_options_of_outside(options); !fitting) return failed(fitting.error());
    const Result<ChildRequest> request = request_of(options, environment);
    if (!request) return failed(request.error());
    if (const Status sent = send_request(socket->get(), *request); !sent) return failed(sent.error());
    return Attendance(std::move(*socket), *signals, status).attend();
}

}  // namespace sanctum::launcher
