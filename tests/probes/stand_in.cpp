// SPDX-License-Identifier: Apache-2.0
#include "tests/probes/stand_in.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sanctum::probes {

const char* const kAuthority =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBmjCCAUGgAwIBAgIUKBK/0h+XshBNYxEh7dJhg5T0tiswCgYIKoZIzj0EAwIw\n"
    "IjEgMB4GA1UEAwwXU2FuY3R1bSBwcm9iZSBhdXRob3JpdHkwIBcNMjYxMTIyMDMz\n"
    "MjI2WhgPMjEyNjEwMjkwMzMyMjZaMCIxIDAeBgNVBAMMF1NhbmN0dW0gcHJvYmUg\n"
    "YXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEd0DNlpQhL8MRKhG4\n"
    "jacCFRftjDppmJqv6XNtUVY1370qs/snl04iW7RfBd9+UEieW9p28DLEGsjjO1vV\n"
    "4bLnuaNTMFEwHQYDVR0OBBYEFLIPHnG6oKVjdALuBtIys8s2pcvdMB8GA1UdIwQY\n"
    "MBaAFLIPHnG6oKVjdALuBtIys8s2pcvdMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI\n"
    "zj0EAwIDRwAwRAIgYtjXenC4DB2HeTGuFKrdtlHy5Nf3XGyQXbR3Boi5kL4CIBXE\n"
    "aUQmZLegYl1ivd7vkZ0HhJM+bOQtWD/ED02oMyHx\n"
    "-----END CERTIFICATE-----\n";

namespace {

/// Sends a datagram back from the address that it was sent to, which is in its packet information.
void echo(int socket) {
    char question[512];
    alignas(cmsghdr) char control[256];
    sockaddr_storage from{};
    iovec bytes{question, sizeof question};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket, &message, 0);
    if (size < 0) return;
    bytes.iov_len = static_cast<std::size_t>(size);
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != IPPROTO_IP || part->cmsg_type != IP_PKTINFO) continue;
        auto* information = reinterpret_cast<in_pktinfo*>(CMSG_DATA(part));
        information->ipi_spec_dst = information->ipi_addr;
    }
    ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace

void StandIn::watch(std::vector<pollfd>& watched) const {
    if (agent_.notify) watched.push_back({agent_.notify.get(), POLLIN, 0});
    if (!serves_) return;
    for (const auto& socket : agent_.sockets) watched.push_back({socket.fd.get(), POLLIN, 0});
}

void StandIn::serve(const std::vector<pollfd>& watched) {
    for (const pollfd& ready : watched) {
        if ((ready.revents & POLLIN) == 0) continue;
        if (agent_.notify && ready.fd == agent_.notify.get()) continue_notice();
        for (const auto& socket : agent_.sockets) {
            if (socket.fd.get() == ready.fd) answer(socket);
        }
    }
}

void StandIn::continue_notice() const {
    seccomp_notif notice{};
    if (::ioctl(agent_.notify.get(), SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) return;
    seccomp_notif_resp response{};
    response.id = notice.id;
    response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(agent_.notify.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void StandIn::answer(const launcher::NamespaceSocket& socket) const {
    if (socket.role.starts_with("dns-udp")) return echo(socket.fd.get());
    const int connection = ::accept4(socket.fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    sockaddr_storage dialled{};
    socklen_t size = sizeof dialled;
    char text[INET6_ADDRSTRLEN] = "?";
    if (::getsockname(connection, reinterpret_cast<sockaddr*>(&dialled), &size) == 0) {
        const void* address = dialled.ss_family == AF_INET
                                  ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(&dialled)->sin_addr)
                                  : &reinterpret_cast<sockaddr_in6*>(&dialled)->sin6_addr;
        ::inet_ntop(dialled.ss_family, address, text, sizeof text);
    }
    const std::string line = std::string(text) + "\n";
    ::send(connection, line.data(), line.size(), MSG_NOSIGNAL);
    ::close(connection);
}

}  // namespace sanctum::probes
