// SPDX-License-Identifier: Apache-2.0
// The control socket of a mission: JSON Lines, public (formats 9). `show` says what runs, `revoke` ends it,
// `revoke-service` takes one of its services back.
//
// Only the launcher's own user and root are answered. A client that is slow, loud or gone costs bounded memory and
// nothing else.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "launcher/run/event_loop.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace sanctum::launcher {

/// A request, parsed.
struct ControlRequest {
    enum class What { Show, Revoke, RevokeService } what{};
    std::string reason;   ///< Revoke: why, for the record; may be empty
    std::string service;  ///< RevokeService
};

/// Errors: Protocol (not JSON, no `"v":1`, unknown request) with a sentence for the client. Pure.
[[nodiscard]] Result<ControlRequest> parse_control_request(std::string_view line);

/// `{"v":1,"ok":false,"error":…}`
[[nodiscard]] std::string control_error(std::string_view sentence);

/// A listening control socket and its file, which goes when this does.
class ControlListener {
public:
    /// Makes the folder (0700) and the socket (0600) and listens. Errors: Io, Unsupported (path too long).
    [[nodiscard]] static Result<ControlListener> open(const std::string& path);
    ControlListener(ControlListener&&) noexcept = default;
    ControlListener& operator=(ControlListener&&) noexcept = delete;
    ~ControlListener() { close(); }
    [[nodiscard]] int fd() const { return socket_.get(); }
    void close();

private:
    ControlListener(std::string path, UniqueFd socket) : path_(std::move(path)), socket_(std::move(socket)) {}
    std::string path_;
    UniqueFd socket_;
};

class ControlServer {
public:
    /// Answers one request with one line (without the end of line).
    using Answer = std::function<std::string(const ControlRequest&)>;

    /// Serves a socket made by listen_for_control(). `loop` must outlive this. Errors: Io.
    [[nodiscard]] static Result<std::unique_ptr<ControlServer>> open(ControlListener listener, EventLoop& loop,
                                                                     Answer answer);
    /// Closes every client, which is how those that wait for the end see it.
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

private:
    struct Client {
        UniqueFd socket;
        std::string received;
        std::string to_send;
        bool has_said_all = false;  ///< shut down its sending side; still waits for answers and the end
    };
    ControlServer(ControlListener listener, EventLoop& loop, Answer answer);
    void accept_clients();
    void serve(int fd, std::uint32_t events);
    void answer_lines(Client& client);
    [[nodiscard]] bool read_from(Client& client);
    [[nodiscard]] bool write_to(Client& client);
    void drop(int fd);

    ControlListener listener_;
    EventLoop& loop_;
    Answer answer_;
    std::map<int, Client> clients_;
};

}  // namespace sanctum::launcher
