// SPDX-License-Identifier: Apache-2.0
// Acceptor: takes connections from the listeners inside the sandbox, within bounds.
#pragma once

#include "base/limits.hpp"
#include "interceptor/io/descriptor.hpp"
#include "interceptor/io/event.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/socket.h>

namespace sanctum::interceptor {

/// One accepted TCP connection.
struct AcceptedSocket {
    UniqueFd fd;  ///< non-blocking, close-on-exec, TCP_NODELAY
    sockaddr_storage agent{};    ///< the agent's end
    sockaddr_storage dialled{};  ///< what it dialled: getsockname(2) of ours
};

/// `198.18.0.4:443` or `[::1]:443`.
[[nodiscard]] std::string address_text(const sockaddr_storage& address);
/// The address alone, without port or brackets.
[[nodiscard]] std::string host_text(const sockaddr_storage& address);
[[nodiscard]] std::uint16_t port_of(const sockaddr_storage& address);

/// How many connections are open; accepting waits while the bound is reached.
class ConnectionGate {
public:
    ConnectionGate(Loop& loop, std::size_t connections_max) : max_(connections_max), changed_(loop) {}
    [[nodiscard]] bool is_full() const { return open_ >= max_; }
    [[nodiscard]] std::size_t open() const { return open_; }
    void enter() { ++open_; }
    void leave() {
        --open_;
        changed_.notify_all();
    }
    /// Completes when a connection left, or after `timeout`.
    [[nodiscard]] net::awaitable<void> wait_for_change(std::chrono::milliseconds timeout);

private:
    std::size_t max_;
    std::size_t open_ = 0;
    Event changed_;
};

/// Connections that may be open at once with the process's descriptor limit, which is raised as far as it may be.
/// Each takes two descriptors (agent and upstream).
[[nodiscard]] std::size_t raise_descriptor_limit();

/// One listener. `serve` gets each connection and spawns what serves it; the gate was entered for it.
class Acceptor {
public:
    using Serve = std::function<void(AcceptedSocket)>;
    Acceptor(Loop& loop, ConnectionGate& gate, UniqueFd listener, Serve serve);

    /// Accepts until close(). Never gives up on its own: lack of descriptors or memory is waited out.
    [[nodiscard]] net::awaitable<void> run();
    void close() { listener_.close(); }

private:
    Loop& loop_;
    ConnectionGate& gate_;
    Descriptor listener_;
    Serve serve_;
};

}  // namespace sanctum::interceptor
