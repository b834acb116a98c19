// SPDX-License-Identifier: Apache-2.0
// DnsServer: the name server of the sandbox, at whatever address it is asked (UDP and TCP, IPv4 and IPv6).
#pragma once

#include "interceptor/dns/address_pool.hpp"
#include "interceptor/io/acceptor.hpp"

#include <list>
#include <memory>
#include <vector>

namespace sanctum::interceptor {

class DnsServer {
public:
    DnsServer(Loop& loop, AddressPool& pool) : loop_(loop), pool_(pool), tcp_gate_(loop, kDnsTcpConnectionsMax) {}

    /// Takes a bound UDP socket and starts answering. Errors: Io (the socket cannot say which address was asked).
    [[nodiscard]] Status add_udp(UniqueFd socket);
    /// Takes a TCP listener and starts answering.
    void add_tcp(UniqueFd listener);
    void close();

private:
    [[nodiscard]] net::awaitable<void> serve_udp(Descriptor& socket);
    [[nodiscard]] net::awaitable<void> serve_tcp(AcceptedSocket socket);

    Loop& loop_;
    AddressPool& pool_;
    ConnectionGate tcp_gate_;
    std::list<Descriptor> udp_;
    std::list<Acceptor> tcp_;
};

}  // namespace sanctum::interceptor
