// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/control.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

bool is_permitted_peer(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == 0 || peer.uid == ::geteuid();
}

Result<UniqueFd> listen_on(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return Error{Errc::Unsupported,
                     "control socket " + path + ": path too long (set XDG_RUNTIME_DIR to a shorter one)"};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return io_error("control socket");
    // SECURITY: mode 0600 from the first moment; the folder is 0700 besides, and the peer's uid is checked again.
    const mode_t before = ::umask(0177);
    const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int bind_error = errno;
    ::umask(before);
    if (bound != 0) return io_error("control socket " + path, bind_error);
    if (::listen(socket.get(), static_cast<int>(kControlClientsMax)) != 0) return io_error("control socket " + path);
    return socket;
}

Result<ControlRequest> parse_revoke_service(const wire::JsonNode& root) {
    const std::optional<wire::JsonNode> service = root.member("service");
    const std::optional<std::string> name = service ? service->text() : std::nullopt;
    if (!name || name->empty()) return Error{Errc::Protocol, "\"service\" must name a service"};
    return ControlRequest{ControlRequest::What::RevokeService, "", *name};
}

}  // namespace

Result<ControlRequest> parse_control_request(std::string_view line) {
    Result<wire::JsonText> text = wire::JsonText::parse(line);
    if (!text) return Error{Errc::Protocol, "the request is not one JSON object on one line"};
    const wire::JsonNode root = text->root();
    const std::optional<wire::JsonNode> version = root.member("v");
    if (!version || version->integer() != 1) return Error{Errc::Protocol, "the request must have \"v\":1"};
    const std::optional<wire::JsonNode> request = root.member("request");
    const std::optional<std::string> word = request ? request->text() : std::nullopt;
    if (word == "show") return ControlRequest{ControlRequest::What::Show, "", ""};
    // A word of its own: a launcher that does not know it must not take it for `revoke`.
    if (word == "revoke-service") return parse_revoke_service(root);
    if (word != "revoke") return Error{Errc::Protocol, "unknown request (known are show, revoke and revoke-service)"};
    const std::optional<wire::JsonNode> reason = root.member("reason");
    if (!reason || reason->is_null()) return ControlRequest{ControlRequest::What::Revoke, "", ""};
    const std::optional<std::string> why = reason->text();
    if (!why) return Error{Errc::Protocol, "\"reason\" must be a text"};
    return ControlRequest{ControlRequest::What::Revoke, *why, ""};
}

std::string control_error(std::string_view sentence) {
    std::string line = "{\"v\":1,\"ok\":false,\"error\":";
    wire::append_json_string(line, sentence);
    return line + "}";
}

Result<ControlListener> ControlListener::open(const std::string& path) {
    SANCTUM_CHECK(make_folders(path.substr(0, path.rfind('/')), 0700));
    SANCTUM_TRY(UniqueFd socket, listen_on(path));
    return ControlListener(path, std::move(socket));
}

void ControlListener::close() {
    if (!socket_) return;
    socket_.reset();
    static_cast<void>(::unlink(path_.c_str()));
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(ControlListener listener, EventLoop& loop, Answer answer) {
    std::unique_ptr<ControlServer> server(new ControlServer(std::move(listener), loop, std::move(answer)));
    SANCTUM_CHECK(loop.watch(server->listener_.fd(), EPOLLIN,
                             [control = server.get()](std::uint32_t) { control->accept_clients(); }));
    return server;
}

ControlServer::ControlServer(ControlListener listener, EventLoop& loop, Answer answer)
    : listener_(std::move(listener)), loop_(loop), answer_(std::move(answer)) {}

ControlServer::~ControlServer() {
    loop_.forget(listener_.fd());
    while (!clients_.empty()) drop(clients_.begin()->first);
}

void ControlServer::accept_clients() {
    for (std::size_t turn = 0; turn < kControlClientsMax; ++turn) {
        UniqueFd socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) return;
        // One too many or a stranger: closed, which is an answer too.
        if (clients_.size() >= kControlClientsMax || !is_permitted_peer(socket.get())) continue;
        const int fd = socket.get();
        clients_.emplace(fd, Client{std::move(socket), "", ""});
        if (!loop_.watch(fd, EPOLLIN, [this, fd](std::uint32_t events) { serve(fd, events); })) drop(fd);
    }
}

void ControlServer::serve(int fd, std::uint32_t events) {
    const auto found = clients_.find(fd);
    if (found == clients_.end()) return;
    Client& client = found->second;
    if ((events & EPOLLIN) != 0 && !read_from(client)) return drop(fd);
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) return drop(fd);
    answer_lines(client);
    if (client.to_send.size() > kControlAnswerBytesMax || !write_to(client)) return drop(fd);
    const std::uint32_t wanted =
        (client.has_said_all ? 0U : std::uint32_t{EPOLLIN}) | (client.to_send.empty() ? 0U : std::uint32_t{EPOLLOUT});
    if (!loop_.watch(fd, wanted, [this, fd](std::uint32_t ready) { serve(fd, ready); })) drop(fd);
}

void ControlServer::answer_lines(Client& client) {
    std::size_t end = 0;
    while ((end = client.received.find('\n')) != std::string::npos) {
        const std::string line = client.received.substr(0, end);
        client.received.erase(0, end + 1);
        Result<ControlRequest> request = parse_control_request(line);
        client.to_send += request ? answer_(*request) : control_error(request.error().what);
        client.to_send += '\n';
    }
    if (client.received.size() > kControlLineBytesMax) {
        client.received.clear();
        client.to_send += control_error("the request line is too long") + "\n";
    }
}

bool ControlServer::read_from(Client& client) {
    std::array<char, 4096> bytes{};
    const ssize_t size = ::recv(client.socket.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) client.has_said_all = true;
    client.received.append(bytes.data(), static_cast<std::size_t>(size));
    return true;
}

bool ControlServer::write_to(Client& client) {
    while (!client.to_send.empty()) {
        const ssize_t size = ::send(client.socket.get(), client.to_send.data(), client.to_send.size(), MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno == EAGAIN;
        client.to_send.erase(0, static_cast<std::size_t>(size));
    }
    return true;
}

void ControlServer::drop(int fd) {
    loop_.forget(fd);
    clients_.erase(fd);
}

}  // namespace sanctum::launcher
