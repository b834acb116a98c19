// SPDX-License-Identifier: Apache-2.0
// Tries one way to reach something. `families` lists which socket families and types can be made at all.
#include "tests/probes/probe.hpp"

#include <arpa/inet.h>
#include <cstddef>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

namespace {

using probe::report;

constexpr const char* kUsage =
    "probe_network connect|udp|fastopen ADDRESS PORT [INTERFACE] | unix PATH | abstract NAME | serve PORT | "
    "families [high] | interfaces | take_down NAME | add_route NAME";
constexpr int kAnswerTimeoutMs = 2000;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

Address parse(const char* text, const char* port) {
    Address address;
    auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
    auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
    const auto number = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (::inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = number;
        address.size = sizeof *four;
    } else if (::inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = number;
        address.size = sizeof *six;
    } else {
        probe::usage(kUsage);
    }
    return address;
}

const sockaddr* raw(const Address& address) { return reinterpret_cast<const sockaddr*>(&address.storage); }

/// What the other side says, or which error comes instead; a pending socket error counts.
void report_answer(const char* op, int socket) {
    pollfd waiting{socket, POLLIN, 0};
    if (::poll(&waiting, 1, kAnswerTimeoutMs) == 0) return report(op, ETIMEDOUT);
    char text[256] = {};
    const ssize_t size = ::recv(socket, text, sizeof text - 1, 0);
    if (size < 0) return report(op, errno);
    text[std::strcspn(text, "\r\n\"\\")] = '\0';
    report(op, 0, std::string(",\"data\":\"") + text + "\"");
}

/// A socket that may use `interface` only; nullptr: any.
int make_socket(const Address& address, int type, const char* interface) {
    const int socket = ::socket(address.storage.ss_family, type, 0);
    if (socket < 0 || interface == nullptr) return socket;
    const auto size = static_cast<socklen_t>(std::strlen(interface));
    return ::setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, interface, size) == 0 ? socket : -1;
}

int connect_tcp(const char* op, const Address& address, const char* interface) {
    const int socket = make_socket(address, SOCK_STREAM, interface);
    const timeval patience{kAnswerTimeoutMs / 1000, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (socket < 0 || ::connect(socket, raw(address), address.size) != 0) return probe::report_call(op, -1);
    report_answer(op, socket);
    return 0;
}

int send_udp(const Address& address, const char* interface) {
    const int socket = make_socket(address, SOCK_DGRAM, interface);
    if (socket < 0 || ::connect(socket, raw(address), address.size) != 0 || ::send(socket, "?", 1, 0) < 0) {
        return probe::report_call("udp", -1);
    }
    report_answer("udp", socket);
    return 0;
}

/// A connection without connect(2).
int send_fast(const Address& address) {
    const int socket = ::socket(address.storage.ss_family, SOCK_STREAM, 0);
    if (socket < 0 || ::sendto(socket, "x", 1, MSG_FASTOPEN, raw(address), address.size) < 0) {
        return probe::report_call("fastopen", -1);
    }
    report_answer("fastopen", socket);
    return 0;
}

int connect_unix(const char* op, const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.size() >= sizeof address.sun_path) probe::usage(kUsage);
    std::memcpy(address.sun_path, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name[0] != '\0' ? 1 : 0));
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (socket < 0) return probe::report_call(op, -1);
    return probe::report_call(op, ::connect(socket, reinterpret_cast<const sockaddr*>(&address), size));
}

/// A server of the agent's own, reached over loopback: must work.
int serve_itself(const char* port) {
    const Address address = parse("127.0.0.1", port);
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (::bind(listener, raw(address), address.size) != 0 || ::listen(listener, 1) != 0) {
        return probe::report_call("serve", -1);
    }
    const int client = ::socket(AF_INET, SOCK_STREAM, 0);
    return probe::report_call("serve", ::connect(client, raw(address), address.size));
}

/// All families and types; `high` sets a bit above the 32 that the kernel looks at.
int list_families(bool high) {
    std::string opened;
    for (long family = 0; family < 64; ++family) {
        for (long type = 1; type <= 5; ++type) {
            const long asked = high ? family | (1L << 32) : family;
            const long socket = ::syscall(SYS_socket, asked, type, 0);
            if (socket < 0) continue;
            ::close(static_cast<int>(socket));
            opened += (opened.empty() ? "\"" : ",\"") + std::to_string(family) + "/" + std::to_string(type) + "\"";
        }
    }
    report("families", 0, ",\"opened\":[" + opened + "]");
    return 0;
}

/// What getifaddrs() tells to a program that asks whether it is online: `NAME ADDRESS` of everything that is up.
int list_interfaces() {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return probe::report_call("interfaces", -1);
    std::string seen;
    for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr == nullptr || (each->ifa_flags & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING)) continue;
        char text[INET6_ADDRSTRLEN] = {};
        const int family = each->ifa_addr->sa_family;
        const void* bytes = family == AF_INET
                                ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(each->ifa_addr)->sin_addr)
                                : &reinterpret_cast<sockaddr_in6*>(each->ifa_addr)->sin6_addr;
        if (family != AF_INET && family != AF_INET6) continue;
        seen += (seen.empty() ? "\"" : ",\"") + std::string(each->ifa_name) + " ";
        seen += std::string(::inet_ntop(family, bytes, text, sizeof text)) + "\"";
    }
    ::freeifaddrs(all);
    report("interfaces", 0, ",\"seen\":[" + seen + "]");
    return 0;
}

/// Sends one route request and reports the kernel's answer.
int request_route(const char* op, const void* bytes, std::size_t size) {
    const int socket = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    if (socket < 0 || ::send(socket, bytes, size, 0) < 0) return probe::report_call(op, -1);
    struct {
        nlmsghdr head;
        nlmsgerr error;
        char more[512];
    } answer{};
    if (::recv(socket, &answer, sizeof answer, 0) < 0) return probe::report_call(op, -1);
    report(op, -answer.error.error);
    return 0;
}

int take_down(const char* name) {
    struct {
        nlmsghdr head;
        ifinfomsg link;
    } request{};
    request.head = {sizeof request, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
    request.link.ifi_index = static_cast<int>(::if_nametoindex(name));
    request.link.ifi_change = IFF_UP;
    return request_route("take_down", &request, sizeof request);
}

/// A way out of the namespace would begin with a default route over an interface.
int add_route(const char* name) {
    struct {
        nlmsghdr head;
        rtmsg route;
        rtattr over;
        unsigned index;
    } request{};
    request.head = {sizeof request, RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0};
    request.route.rtm_family = AF_INET;
    request.route.rtm_table = RT_TABLE_MAIN;
    request.route.rtm_protocol = RTPROT_STATIC;
    request.route.rtm_scope = RT_SCOPE_LINK;
    request.route.rtm_type = RTN_UNICAST;
    request.over = {RTA_LENGTH(sizeof request.index), RTA_OIF};
    request.index = ::if_nametoindex(name);
    return request_route("add_route", &request, sizeof request);
}

}  // namespace

int main(int count, char** words) {
    probe::require_mission();
    const std::string op = count > 1 ? words[1] : "";
    const char* interface = count == 5 ? words[4] : nullptr;
    if (op == "connect" && count >= 4) return connect_tcp("connect", parse(words[2], words[3]), interface);
    if (op == "udp" && count >= 4) return send_udp(parse(words[2], words[3]), interface);
    if (op == "fastopen" && count == 4) return send_fast(parse(words[2], words[3]));
    if (op == "unix" && count == 3) return connect_unix("unix", words[2]);
    if (op == "abstract" && count == 3) return connect_unix("abstract", std::string(1, '\0') + words[2]);
    if (op == "serve" && count == 3) return serve_itself(words[2]);
    if (op == "interfaces") return list_interfaces();
    if (op == "take_down" && count == 3) return take_down(words[2]);
    if (op == "add_route" && count == 3) return add_route(words[2]);
    if (op == "families") return list_families(count == 3);
    probe::usage(kUsage);
}
