// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/network.hpp"

#include "launcher/plan/fixed_places.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr int kLoopbackIndex = 1;  // the first interface of every network namespace
// Above what a kernel gives to the tunnels that it may put into a new namespace by itself.
constexpr int kLinkIndex = 64;
constexpr int kLinkEndIndex = 65;
constexpr std::uint16_t kDnsPort = 53;

/// A batch of rtnetlink requests, sent at once, each acknowledged.
class RouteRequests {
public:
    /// `what` is for the error: what the request does.
    void begin(std::string what, std::uint16_t type, std::uint16_t flags) {
        finish_current();
        start_ = bytes_.size();
        names_.push_back(std::move(what));
        nlmsghdr head{};
        head.nlmsg_type = type;
        head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        head.nlmsg_seq = static_cast<std::uint32_t>(names_.size());
        append(&head, sizeof head);
    }

    template <class Body>
    void body(const Body& value) {
        append(&value, sizeof value);
    }

    void attribute(std::uint16_t type, const void* value, std::size_t size) {
        const rtattr head{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
        append(&head, sizeof head);
        append(value, size);
        bytes_.resize(RTA_ALIGN(bytes_.size()));
    }

    void text(std::uint16_t type, const char* value) { attribute(type, value, std::strlen(value) + 1); }

    /// An attribute whose content is whatever `inside` adds.
    template <class Inside>
    void nested(std::uint16_t type, Inside inside) {
        const std::size_t start = bytes_.size();
        attribute(type, nullptr, 0);
        inside();
        const auto length = static_cast<std::uint16_t>(bytes_.size() - start);
        std::memcpy(bytes_.data() + start, &length, sizeof length);  // rta_len is the first member
    }

    /// Sends everything and reads one acknowledgement per request.
    [[nodiscard]] Status send() {
        finish_current();
        const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
        if (!socket) return io_error("open a route socket");
        if (::send(socket.get(), bytes_.data(), bytes_.size(), 0) < 0) return io_error("send route requests");
        for (std::size_t acknowledged = 0; acknowledged < names_.size();) {
            alignas(nlmsghdr) std::array<char, 8192> answer{};
            const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
            if (size < 0 && errno == EINTR) continue;
            if (size < 0) return io_error("read route answers");
            const auto bytes = static_cast<std::size_t>(size);
            SANCTUM_TRY(const std::size_t found, count_acknowledgements(answer.data(), bytes));
            acknowledged += found;
        }
        return {};
    }

private:
    void append(const void* value, std::size_t size) {
        if (size == 0) return;
        const char* first = static_cast<const char*>(value);
        bytes_.insert(bytes_.end(), first, first + size);
    }

    void finish_current() {
        if (names_.empty()) return;
        const auto length = static_cast<std::uint32_t>(bytes_.size() - start_);
        std::memcpy(bytes_.data() + start_, &length, sizeof length);  // nlmsg_len is the first member
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    }

    Result<std::size_t> count_acknowledgements(const char* bytes, std::size_t size) const {
        std::size_t found = 0;
        while (size >= sizeof(nlmsghdr)) {
            nlmsghdr head{};
            std::memcpy(&head, bytes, sizeof head);
            if (head.nlmsg_len < sizeof head || head.nlmsg_len > size) break;
            if (head.nlmsg_type == NLMSG_ERROR) {
                nlmsgerr error{};
                std::memcpy(&error, bytes + NLMSG_HDRLEN, sizeof error);
                if (head.nlmsg_seq == 0 || head.nlmsg_seq > names_.size()) {
                    return Error{Errc::Protocol, "the kernel acknowledged a route request that was not sent"};
                }
                if (error.error != 0) return io_error(names_[head.nlmsg_seq - 1], -error.error);
                ++found;
            }
            const std::size_t step = std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), size);
            bytes += step;
            size -= step;
        }
        return found;
    }

    std::vector<char> bytes_;
    std::size_t start_ = 0;
    std::vector<std::string> names_;  ///< of the requests; the n-th has sequence number n+1
};

/// An address in network byte order.
struct Address {
    std::uint8_t family;
    std::array<unsigned char, 16> bytes{};
    std::size_t size;
};

Address address_of(std::uint8_t family, const char* text) {
    Address address{family, {}, family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr)};
    SANCTUM_ASSERT(::inet_pton(family, text, address.bytes.data()) == 1);
    return address;
}

const char* name_of(int index) {
    if (index == kLoopbackIndex) return "lo";
    return index == kLinkIndex ? kLinkName : kLinkEndName;
}

ifinfomsg link_at(int index) {
    ifinfomsg link{};
    link.ifi_index = index;
    return link;
}

void bring_up(RouteRequests& requests, int index) {
    requests.begin(std::string("bring up ") + name_of(index), RTM_NEWLINK, 0);
    ifinfomsg up = link_at(index);
    // Nobody is looked for over the link, and no group of lookers is joined: not one frame of the kernel's own.
    up.ifi_flags = index == kLoopbackIndex ? IFF_UP : IFF_UP | IFF_NOARP;
    up.ifi_change = up.ifi_flags;
    requests.body(up);
}

void add_address(RouteRequests& requests, const Address& address, int index) {
    requests.begin(std::string("give an address to ") + name_of(index), RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    ifaddrmsg head{};
    head.ifa_family = address.family;
    // SECURITY: the address alone, no network around it: a network would be a route to the other end.
    head.ifa_prefixlen = static_cast<std::uint8_t>(address.size * 8);
    head.ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD;
    head.ifa_scope = RT_SCOPE_UNIVERSE;
    head.ifa_index = static_cast<std::uint32_t>(index);
    requests.body(head);
    requests.attribute(IFA_LOCAL, address.bytes.data(), address.size);
    requests.attribute(IFA_ADDRESS, address.bytes.data(), address.size);
}

/// `local default dev lo table local`: whatever is dialled arrives here. Our own address is the preferred source, so
/// that programs which ask "what is my address?" get a plain answer.
void make_all_local(RouteRequests& requests, const Address& source) {
    requests.begin("make every address local", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    rtmsg head{};
    head.rtm_family = source.family;
    head.rtm_table = RT_TABLE_LOCAL;
    head.rtm_protocol = RTPROT_STATIC;
    head.rtm_scope = RT_SCOPE_HOST;
    head.rtm_type = RTN_LOCAL;
    requests.body(head);
    const int index = kLoopbackIndex;
    requests.attribute(RTA_OIF, &index, sizeof index);
    requests.attribute(RTA_PREFSRC, source.bytes.data(), source.size);
}

/// A pair of interfaces whose two ends are both in this namespace.
void add_link(RouteRequests& requests) {
    requests.begin("add the interface eth0 (needs the kernel module veth: modprobe veth)", RTM_NEWLINK,
                   NLM_F_CREATE | NLM_F_EXCL);
    requests.body(link_at(kLinkIndex));
    requests.text(IFLA_IFNAME, kLinkName);
    requests.nested(IFLA_LINKINFO, [&] {
        requests.text(IFLA_INFO_KIND, "veth");
        requests.nested(IFLA_INFO_DATA, [&] {
            requests.nested(VETH_INFO_PEER, [&] {
                requests.body(link_at(kLinkEndIndex));
                requests.text(IFLA_IFNAME, kLinkEndName);
            });
        });
    });
}

/// SECURITY: no address that the kernel makes up: it would come with a network, and with frames that look for it.
void keep_addresses_ours(RouteRequests& requests, int index) {
    requests.begin(std::string("keep made-up addresses from ") + name_of(index), RTM_NEWLINK, 0);
    requests.body(link_at(index));
    requests.nested(IFLA_AF_SPEC, [&] {
        requests.nested(AF_INET6, [&] {
            const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
            requests.attribute(IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
        });
    });
}

Result<UniqueFd> open_bound(int family, int type, std::uint16_t port) {
    UniqueFd socket(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return io_error("socket");
    const int on = 1;
    sockaddr_storage address{};
    socklen_t size = sizeof(sockaddr_in);
    if (family == AF_INET6) {
        if (::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return io_error("IPV6_V6ONLY");
        auto* six = reinterpret_cast<sockaddr_in6*>(&address);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        size = sizeof *six;
    } else {
        auto* four = reinterpret_cast<sockaddr_in*>(&address);
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
    }
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return io_error("bind");
    return socket;
}

Result<UniqueFd> open_listener(int family, std::uint16_t port) {
    SANCTUM_TRY(UniqueFd socket, open_bound(family, SOCK_STREAM, port));
    if (::listen(socket.get(), SOMAXCONN) != 0) return io_error("listen");
    return socket;
}

/// The interceptor must answer from the address that was asked.
Result<UniqueFd> open_dns_socket(int family) {
    SANCTUM_TRY(UniqueFd socket, open_bound(family, SOCK_DGRAM, kDnsPort));
    const int on = 1;
    const int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    const int option = family == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO;
    if (::setsockopt(socket.get(), level, option, &on, sizeof on) != 0) return io_error("packet information");
    return socket;
}

Result<UniqueFd> open_socket_lookup() {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
    if (!socket) return io_error("socket");
    return socket;
}

Result<UniqueFd> open_by_role(const std::string& role) {
    const std::size_t colon = role.find(':');
    if (colon != std::string::npos) {
        const auto port = static_cast<std::uint16_t>(std::stoul(role.substr(colon + 1)));
        return open_listener(role.starts_with("listen6") ? AF_INET6 : AF_INET, port);
    }
    if (role == "dns-udp") return open_dns_socket(AF_INET);
    if (role == "dns-udp6") return open_dns_socket(AF_INET6);
    if (role == "dns-tcp") return open_listener(AF_INET, kDnsPort);
    if (role == "dns-tcp6") return open_listener(AF_INET6, kDnsPort);
    return open_socket_lookup();
}

}  // namespace

Status make_every_address_local(const SandboxPlan& plan) {
    std::vector<Address> own{address_of(AF_INET, kSandboxAddress)};
    if (plan.has_ipv6) own.push_back(address_of(AF_INET6, kSandboxAddress6));
    RouteRequests requests;
    bring_up(requests, kLoopbackIndex);
    for (const Address& address : own) {
        add_address(requests, address, kLoopbackIndex);
        make_all_local(requests, address);
    }
    // Nothing is ever sent over this link: the addresses on it are on `lo` as well, and every other one is local. It
    // is there for programs that believe to be offline when only `lo` has an address.
    add_link(requests);
    for (const int index : {kLinkIndex, kLinkEndIndex}) {
        if (plan.has_ipv6) keep_addresses_ours(requests, index);
    }
    for (const int index : {kLinkIndex, kLinkEndIndex}) bring_up(requests, index);
    for (const Address& address : own) add_address(requests, address, kLinkIndex);
    return requests.send();
}

std::vector<std::string> namespace_socket_roles(const SandboxPlan& plan) {
    std::vector<std::string> roles;
    for (const std::uint16_t port : plan.ports) {
        roles.push_back("listen:" + std::to_string(port));
        if (plan.has_ipv6) roles.push_back("listen6:" + std::to_string(port));
    }
    for (const char* role : {"dns-udp", "dns-tcp"}) {
        roles.emplace_back(role);
        if (plan.has_ipv6) roles.push_back(std::string(role) + "6");
    }
    roles.emplace_back("sock-diag");
    return roles;
}

Result<std::vector<NamespaceSocket>> open_namespace_sockets(const SandboxPlan& plan) {
    std::vector<NamespaceSocket> sockets;
    for (std::string& role : namespace_socket_roles(plan)) {
        Result<UniqueFd> socket = open_by_role(role);
        if (!socket) return std::move(socket).error().in(role);
        sockets.push_back({std::move(role), std::move(*socket)});
    }
    return sockets;
}

}  // namespace sanctum::launcher
