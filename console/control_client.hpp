// SPDX-License-Identifier: Apache-2.0
// Talking to a live mission over its control socket (JSON Lines, one request and one answer per line).
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/archive.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace sanctum::console {

/// A connection to one mission's launcher.
class ControlClient {
public:
    /// Connects, checks that the other side runs as this user or root, and continues it when it was stopped, since a
    /// stopped launcher answers nobody. Errors: NotFound (no socket), Cancelled (nobody listens), NotPermitted, Io.
    [[nodiscard]] static Result<ControlClient> connect(const std::string& socket_path);

    /// Sends one request and gives the answer's line. Errors: Timeout, Cancelled (closed), Protocol (not an answer, or
    /// `ok` false, with its sentence), Limit, Io.
    [[nodiscard]] Result<std::string> ask(std::string_view request, std::chrono::milliseconds timeout);

    /// Waits until the other side closes. Errors: Timeout, Io.
    [[nodiscard]] Status wait_until_closed(std::chrono::milliseconds timeout);

    /// Process id of the launcher, from the socket.
    [[nodiscard]] int launcher() const { return launcher_; }

private:
    ControlClient(UniqueFd socket, int launcher) : socket_(std::move(socket)), launcher_(launcher) {}
    UniqueFd socket_;
    int launcher_;
    std::string received_;
};

}  // namespace sanctum::console
