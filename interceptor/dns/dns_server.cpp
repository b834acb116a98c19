// SPDX-License-Identifier: Apache-2.0
#include "interceptor/dns/dns_server.hpp"

#include "interceptor/dns/answer.hpp"
#include "interceptor/io/socket_stream.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sanctum::interceptor {
namespace {

// One datagram with everything that an answer from the same address needs.
struct Datagram {
    std::array<char, kDnsMessageBytesMax> bytes;
    std::size_t size = 0;
    sockaddr_storage from{};
    socklen_t from_size = 0;
    alignas(cmsghdr) std::array<char, 128> control{};
    std::size_t control_size = 0;
};

enum class Received { Message, Dropped, None, Failed };

Received receive(int fd, Datagram& datagram) {
    iovec part{datagram.bytes.data(), datagram.bytes.size()};
    msghdr message{};
    message.msg_name = &datagram.from;
    message.msg_namelen = sizeof(datagram.from);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = datagram.control.data();
    message.msg_controllen = datagram.control.size();
    const ssize_t size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN || errno == EINTR ? Received::None : Received::Failed;
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Received::Dropped;
    datagram.size = static_cast<std::size_t>(size);
    datagram.from_size = message.msg_namelen;
    datagram.control_size = message.msg_controllen;
    return Received::Message;
}

// Makes the received packet information say "answer from the address that was asked".
void turn_round(msghdr& message) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            in_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(part), sizeof(info));
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            std::memcpy(CMSG_DATA(part), &info, sizeof(info));
        }
        if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(part), sizeof(info));
            info.ipi6_ifindex = 0;
            std::memcpy(CMSG_DATA(part), &info, sizeof(info));
        }
    }
}

// An answer that cannot be sent is dropped: the client asks again.
void send_answer(int fd, Datagram& datagram, std::string answer) {
    iovec part{answer.data(), answer.size()};
    msghdr message{};
    message.msg_name = &datagram.from;
    message.msg_namelen = datagram.from_size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = datagram.control.data();
    message.msg_controllen = datagram.control_size;
    turn_round(message);
    ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

net::awaitable<Status> read_exactly(ByteStream& stream, std::span<char> into) {
    while (!into.empty()) {
        SANCTUM_CO_TRY(const std::size_t size, co_await stream.read_some(into));
        if (size == 0) co_return Error{Errc::Cancelled, "dns: the client has closed"};
        into = into.subspan(size);
    }
    co_return Status{};
}

}  // namespace

Status DnsServer::add_udp(UniqueFd socket) {
    const int on = 1;
    int family = 0;
    socklen_t size = sizeof(family);
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return io_error("dns: socket");
    const int set = family == AF_INET6 ? ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))
                                       : ::setsockopt(socket.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    if (set != 0) return io_error("dns: packet information");
    udp_.emplace_back(loop_, std::move(socket));
    loop_.spawn(serve_udp(udp_.back()));
    return {};
}

void DnsServer::add_tcp(UniqueFd listener) {
    tcp_.emplace_back(loop_, tcp_gate_, std::move(listener), [this](AcceptedSocket socket) {
        loop_.spawn(serve_tcp(std::move(socket)));
    });
    loop_.spawn(tcp_.back().run());
}

net::awaitable<void> DnsServer::serve_udp(Descriptor& socket) {
    Datagram datagram;
    for (unsigned in_turn = 0; socket.is_open();) {
        const Received received = receive(socket.fd(), datagram);
        if (received == Received::Message) {
            std::optional<std::string> answer = answer_dns({datagram.bytes.data(), datagram.size}, pool_);
            if (answer) send_answer(socket.fd(), datagram, std::move(*answer));
        }
        if (received == Received::None) {
            const Status waited = co_await socket.wait(Descriptor::For::Reading);
            if (!waited) co_return;
        } else if (++in_turn >= kDnsDatagramsPerTurn) {
            in_turn = 0;
            co_await loop_.yield_turn();
        }
    }
}

net::awaitable<void> DnsServer::serve_tcp(AcceptedSocket socket) {
    struct Leave {
        ConnectionGate& gate;
        ~Leave() { gate.leave(); }
    } leave{tcp_gate_};
    PlainStream stream(loop_, Descriptor(loop_, std::move(socket.fd)));
    std::array<char, kDnsMessageBytesMax> message;
    for (;;) {
        stream.set_deadline(kDnsTcpIdleTime);
        std::array<char, 2> prefix{};
        const Status has_prefix = co_await read_exactly(stream, prefix);
        const std::size_t size = std::size_t{static_cast<std::uint8_t>(prefix[0])} << 8U |
                                 static_cast<std::uint8_t>(prefix[1]);
        if (!has_prefix || size > message.size()) co_return;
        const Status has_message = co_await read_exactly(stream, std::span(message).first(size));
        if (!has_message) co_return;
        const std::optional<std::string> answer = answer_dns({message.data(), size}, pool_);
        if (!answer) co_return;
        std::string framed{static_cast<char>(answer->size() >> 8U), static_cast<char>(answer->size() & 0xffU)};
        framed += *answer;
        const Status written = co_await stream.write_all(framed);
        if (!written) co_return;
    }
}

void DnsServer::close() {
    for (Descriptor& socket : udp_) socket.close();
    for (Acceptor& acceptor : tcp_) acceptor.close();
}

}  // namespace sanctum::interceptor
