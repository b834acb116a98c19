// SPDX-License-Identifier: Apache-2.0
#include "interceptor/io/socket_cookie.hpp"

#include <array>
#include <cstring>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sanctum::interceptor {
namespace {

struct Question {
    nlmsghdr head{};
    inet_diag_req_v2 body{};
};

// Address and port in network order, as inet_diag wants them.
void fill(const sockaddr_storage& from, __be32* address, __be16& port) {
    if (from.ss_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &from, sizeof(four));
        std::memcpy(address, &four.sin_addr, sizeof(four.sin_addr));
        port = four.sin_port;
        return;
    }
    sockaddr_in6 six{};
    std::memcpy(&six, &from, sizeof(six));
    std::memcpy(address, &six.sin6_addr, sizeof(six.sin6_addr));
    port = six.sin6_port;
}

std::uint64_t cookie_in(const char* bytes, std::size_t size, std::uint32_t sequence) {
    nlmsghdr head{};
    if (size < sizeof(head) + sizeof(inet_diag_msg)) return 0;
    std::memcpy(&head, bytes, sizeof(head));
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || head.nlmsg_seq != sequence) return 0;
    inet_diag_msg answer{};
    std::memcpy(&answer, bytes + sizeof(head), sizeof(answer));
    return std::uint64_t{answer.id.idiag_cookie[1]} << 32U | answer.id.idiag_cookie[0];
}

}  // namespace

std::uint64_t find_socket_cookie(int sock_diag, const sockaddr_storage& agent, const sockaddr_storage& dialled) {
    static std::uint32_t sequence = 0;
    if (sock_diag < 0) return 0;
    Question question;
    question.head.nlmsg_len = sizeof(question);
    question.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question.head.nlmsg_flags = NLM_F_REQUEST;
    question.head.nlmsg_seq = ++sequence;
    question.body.sdiag_family = static_cast<__u8>(agent.ss_family);
    question.body.sdiag_protocol = IPPROTO_TCP;
    question.body.idiag_states = ~0U;
    fill(agent, question.body.id.idiag_src, question.body.id.idiag_sport);
    fill(dialled, question.body.id.idiag_dst, question.body.id.idiag_dport);
    question.body.id.idiag_cookie[0] = question.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    if (::send(sock_diag, &question, sizeof(question), MSG_DONTWAIT) != ssize_t{sizeof(question)}) return 0;

    // The kernel answers before send returns; an answer to an older question is skipped.
    std::array<char, 1024> buffer{};
    for (;;) {
        const ssize_t size = ::recv(sock_diag, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size <= 0) return 0;
        nlmsghdr head{};
        if (static_cast<std::size_t>(size) >= sizeof(head)) std::memcpy(&head, buffer.data(), sizeof(head));
        if (head.nlmsg_seq == sequence) return cookie_in(buffer.data(), static_cast<std::size_t>(size), sequence);
    }
}

}  // namespace sanctum::interceptor
