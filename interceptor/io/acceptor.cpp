// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/acceptor.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

namespace sanctum::interceptor {
namespace {

enum class Accepted { Connection, NoneWaiting, Broken, NoRoom, Closed };

Accepted accept_one(int listener, AcceptedSocket& into) {
    socklen_t size = sizeof(into.agent);
    into.fd.reset(::accept4(listener, reinterpret_cast<sockaddr*>(&into.agent), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!into.fd) {
        switch (errno) {
            case EAGAIN: return Accepted::NoneWaiting;
            case EINTR:
            case EPROTO:
            case ECONNABORTED: return Accepted::Broken;
            case EBADF:
            case EINVAL: return Accepted::Closed;
            default: return Accepted::NoRoom;  // EMFILE, ENFILE, ENOBUFS, ENOMEM
        }
    }
    size = sizeof(into.dialled);
    if (::getsockname(into.fd.get(), reinterpret_cast<sockaddr*>(&into.dialled), &size) != 0) into.dialled = {};
    const int on = 1;
    ::setsockopt(into.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return Accepted::Connection;
}

}  // namespace

std::string host_text(const sockaddr_storage& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.ss_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &address, sizeof(four));
        ::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size());
    } else {
        sockaddr_in6 six{};
        std::memcpy(&six, &address, sizeof(six));
        ::inet_ntop(AF_INET6, &six.sin6_addr, text.data(), text.size());
    }
    return text.data();
}

std::uint16_t port_of(const sockaddr_storage& address) {
    // sin_port and sin6_port lie at the same place.
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    return ntohs(four.sin_port);
}

std::string address_text(const sockaddr_storage& address) {
    const std::string host = host_text(address);
    return (address.ss_family == AF_INET ? host : "[" + host + "]") + ":" + std::to_string(port_of(address));
}

net::awaitable<void> ConnectionGate::wait_for_change(std::chrono::milliseconds timeout) {
    const Status waited = co_await changed_.wait(timeout);
    static_cast<void>(waited.has_value());
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    const rlim_t wanted = 2 * kAgentConnectionsMax + kUpstreamIdleMax + kDescriptorReserve;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = std::min(wanted, limit.rlim_max);
        ::setrlimit(RLIMIT_NOFILE, &limit);
        ::getrlimit(RLIMIT_NOFILE, &limit);
    }
    const std::size_t usable = limit.rlim_cur > kDescriptorReserve ? limit.rlim_cur - kDescriptorReserve : 2;
    return std::clamp<std::size_t>(usable / 2, 1, kAgentConnectionsMax);
}

Acceptor::Acceptor(Loop& loop, ConnectionGate& gate, UniqueFd listener, Serve serve)
    : loop_(loop), gate_(gate), listener_(loop, std::move(listener)), serve_(std::move(serve)) {}

net::awaitable<void> Acceptor::run() {
    while (listener_.is_open()) {
        if (gate_.is_full()) {
            co_await gate_.wait_for_change(kAcceptPause);
            continue;
        }
        AcceptedSocket socket;
        const Accepted accepted = accept_one(listener_.fd(), socket);
        if (accepted == Accepted::Closed) co_return;
        if (accepted == Accepted::NoRoom) {
            co_await gate_.wait_for_change(kAcceptPause);
        } else if (accepted == Accepted::NoneWaiting) {
            const Status waited = co_await listener_.wait(Descriptor::For::Reading);
            if (!waited) co_return;
        } else if (accepted == Accepted::Connection) {
            gate_.enter();
            serve_(std::move(socket));
            // Accepting must not starve those that are open.
            co_await loop_.yield_turn();
        }
    }
}

}  // namespace sanctum::interceptor
