// SPDX-License-Identifier: Apache-2.0
#include "console/control_client.hpp"

#include "base/limits.hpp"
#include "ledger/printable.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sanctum::console {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Waits for `events`; Timeout when the deadline passes first.
Status wait_for(int fd, short events, SteadyTime deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) return Error{Errc::Timeout, "no answer in time"};
        pollfd watched{fd, events, 0};
        const int ready = ::poll(&watched, 1, static_cast<int>(left.count()));
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return io_error("poll");
    }
}

Status send_line(int fd, std::string_view line, SteadyTime deadline) {
    while (!line.empty()) {
        SANCTUM_CHECK(wait_for(fd, POLLOUT, deadline));
        const ssize_t size = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (size < 0 && (errno == EPIPE || errno == ECONNRESET)) return Error{Errc::Cancelled, "the mission ended"};
        if (size < 0) return io_error("send");
        line.remove_prefix(static_cast<std::size_t>(size));
    }
    return {};
}

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& socket_path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) return Error{Errc::Limit, socket_path + ": path is too long"};
    std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return io_error("socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        Error error = io_error("connect " + socket_path);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        if (error.sys_errno == ECONNREFUSED) error.code = Errc::Cancelled;
        if (error.sys_errno == EACCES) error.code = Errc::NotPermitted;
        return error;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return io_error("SO_PEERCRED");
    if (peer.uid != ::geteuid() && peer.uid != 0 && ::geteuid() != 0) {
        return Error{Errc::NotPermitted, socket_path + ": somebody else listens there"};
    }
    if (peer.pid > 0) ::kill(peer.pid, SIGCONT);
    return ControlClient(std::move(socket), static_cast<int>(peer.pid));
}

Result<std::string> ControlClient::ask(std::string_view request, milliseconds timeout) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    SANCTUM_CHECK(send_line(socket_.get(), std::string(request) + "\n", deadline));
    char chunk[4096];
    while (received_.find('\n') == std::string::npos) {
        if (received_.size() > kControlReplyBytesMax) return Error{Errc::Limit, "the mission's answer is too long"};
        SANCTUM_CHECK(wait_for(socket_.get(), POLLIN, deadline));
        const ssize_t got = ::recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got < 0 && errno != ECONNRESET) return io_error("receive");
        if (got <= 0) return Error{Errc::Cancelled, "the mission ended"};
        received_.append(chunk, static_cast<std::size_t>(got));
    }
    const std::size_t end = received_.find('\n');
    std::string line = received_.substr(0, end);
    received_.erase(0, end + 1);
    SANCTUM_TRY(const wire::JsonText json, wire::JsonText::parse(line));
    const std::optional<wire::JsonNode> ok = json.root().member("ok");
    const std::optional<bool> is_ok = ok ? ok->boolean() : std::nullopt;
    if (!is_ok) return Error{Errc::Protocol, "the mission's answer is not understood"};
    if (*is_ok) return line;
    const std::optional<wire::JsonNode> sentence = json.root().member("error");
    return Error{Errc::Protocol, ledger::printable(sentence ? sentence->text().value_or("refused") : "refused")};
}

Status ControlClient::wait_until_closed(milliseconds timeout) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    char chunk[4096];
    for (;;) {
        SANCTUM_CHECK(wait_for(socket_.get(), POLLIN, deadline));
        const ssize_t got = ::recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) return {};
        if (got < 0 && errno != EINTR && errno != EAGAIN) return io_error("receive");
    }
}

}  // namespace sanctum::console
