// SPDX-License-Identifier: Apache-2.0
#include "launcher/watch/watch.hpp"

#include "base/limits.hpp"
#include "launcher/confine/kernel.hpp"
#include "launcher/watch/process_facts.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Newer than the headers of Debian 12: linux/seccomp.h of 6.6.
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

namespace sanctum::launcher {
namespace {

constexpr std::uint16_t kDnsPort = 53;

/// Where a trapped call keeps its socket and its destination's address.
struct Destination {
    int socket = -1;
    std::uint64_t address = 0;
    std::uint64_t size = 0;
};

// Bytes of another process. Empty when they cannot be read, which is nobody's fault and no reason to refuse.
std::string read_memory(pid_t pid, std::uint64_t address, std::size_t size) {
    std::string bytes(size, '\0');
    iovec local{bytes.data(), bytes.size()};
    iovec remote{reinterpret_cast<void*>(address), size};
    const ssize_t got = ::process_vm_readv(pid, &local, 1, &remote, 1, 0);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
}

// sendmsg and sendmmsg name the address in a msghdr, the first member of an mmsghdr.
Destination destination_in_header(pid_t pid, int socket, std::uint64_t header_address) {
    const std::string bytes = read_memory(pid, header_address, sizeof(msghdr));
    if (bytes.size() != sizeof(msghdr)) return {socket, 0, 0};
    msghdr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    return {socket, reinterpret_cast<std::uint64_t>(header.msg_name), header.msg_namelen};
}

Destination destination_of(pid_t pid, const seccomp_data& call) {
    const int socket = static_cast<int>(call.args[0]);
    switch (call.nr) {
        case SYS_connect: return {socket, call.args[1], call.args[2]};
        case SYS_sendto: return {socket, call.args[4], call.args[5]};
        case SYS_sendmsg:
        case SYS_sendmmsg: return destination_in_header(pid, socket, call.args[1]);
        default: return {socket, 0, 0};
    }
}

int option_of(int socket, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

std::uint64_t cookie_of(int socket) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return ::getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

bool is_loopback_v4(std::uint32_t address_host_order) {
    return (address_host_order >> 24U) == 127 || address_host_order == 0;
}

Attempt attempt_v4(const in_addr& address, std::uint16_t port) {
    std::array<char, INET_ADDRSTRLEN> text{};
    static_cast<void>(::inet_ntop(AF_INET, &address, text.data(), text.size()));
    return {false, text.data(), port, is_loopback_v4(ntohl(address.s_addr))};
}

}  // namespace

void Claims::remember(std::uint64_t cookie, ledger::ClaimedProcess process) {
    if (cookie == 0) return;
    if (const auto found = by_cookie_.find(cookie); found != by_cookie_.end()) {
        order_.erase(found->second);
        by_cookie_.erase(found);
    }
    if (order_.size() >= claims_max_) {
        by_cookie_.erase(order_.front().cookie);
        order_.pop_front();
    }
    order_.push_back({cookie, std::move(process)});
    by_cookie_[cookie] = std::prev(order_.end());
}

std::optional<ledger::ClaimedProcess> Claims::take(std::uint64_t cookie) {
    const auto found = by_cookie_.find(cookie);
    if (found == by_cookie_.end()) return std::nullopt;
    ledger::ClaimedProcess process = std::move(found->second->process);
    order_.erase(found->second);
    by_cookie_.erase(found);
    return process;
}

std::optional<Attempt> parse_address(const std::string& bytes) {
    sa_family_t family = AF_UNSPEC;
    if (bytes.size() < sizeof family) return std::nullopt;
    std::memcpy(&family, bytes.data(), sizeof family);
    if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
        sockaddr_in address{};
        std::memcpy(&address, bytes.data(), sizeof address);
        return attempt_v4(address.sin_addr, ntohs(address.sin_port));
    }
    // The kernel takes 24 bytes too: the scope id at the end is optional (RFC 2133).
    if (family != AF_INET6 || bytes.size() < sizeof(sockaddr_in6) - sizeof(std::uint32_t)) return std::nullopt;
    sockaddr_in6 address{};
    std::memcpy(&address, bytes.data(), std::min(bytes.size(), sizeof address));
    const std::uint16_t port = ntohs(address.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
        in_addr mapped{};
        std::memcpy(&mapped, address.sin6_addr.s6_addr + 12, sizeof mapped);
        return attempt_v4(mapped, port);
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    static_cast<void>(::inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size()));
    const bool is_loopback = IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&address.sin6_addr);
    return Attempt{false, "[" + std::string(text.data()) + "]", port, is_loopback};
}

std::string refusal_of(const Attempt& attempt, const std::vector<std::uint16_t>& ports) {
    // Nothing readable, DNS, and the agent's own servers on its own loopback are no refused attempts.
    if (attempt.address.empty() || attempt.port == 0 || attempt.port == kDnsPort || attempt.is_loopback) return "";
    if (attempt.is_udp) return "udp";
    const bool has_listener = std::find(ports.begin(), ports.end(), attempt.port) != ports.end();
    return has_listener ? "" : "no_listener";
}

/// One notice and its socket, duplicated into this process.
struct Watch::Notice {
    std::uint64_t id;
    pid_t pid;
    seccomp_data call;
    UniqueFd socket;
};

Watch::Watch(UniqueFd notify, pid_t init_pid, std::vector<std::uint16_t> ports)
    : notify_(std::move(notify)), init_pid_(init_pid), ports_(std::move(ports)), claims_(kClaimsMax) {
    // Before 6.6 the kernel does not know it; then a notice costs a wake-up more, nothing else.
    static_cast<void>(
        ::ioctl(notify_.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP));
}

Result<std::vector<ledger::ConnectionRefused>> Watch::answer_notices() {
    std::vector<ledger::ConnectionRefused> refused;
    for (std::size_t turn = 0; turn < kNoticesPerTurnMax; ++turn) {
        pollfd wait{notify_.get(), POLLIN, 0};
        if (::poll(&wait, 1, 0) <= 0 || (wait.revents & POLLIN) == 0) break;
        seccomp_notif received{};  // the kernel insists on zeroes
        if (::ioctl(notify_.get(), SECCOMP_IOCTL_NOTIF_RECV, &received) != 0) {
            if (errno == ENOENT || errno == EINTR) continue;  // the caller died in between
            return io_error("watch: receive a notice");
        }
        const auto pid = static_cast<pid_t>(received.pid);
        Notice notice{received.id, pid, received.data, {}};
        // A number that pidfd_open takes is a thread group's; for another thread the group is asked for. The second
        // look at the notice's id makes sure that it is still the process that called.
        UniqueFd pidfd(kernel::open_process(pid));
        if (!pidfd) {
            if (const std::optional<StatusFacts> status = read_status(pid)) {
                pidfd.reset(kernel::open_process(status->thread_group));
            }
        }
        if (pidfd && is_valid(notice.id)) {
            const int socket = static_cast<int>(received.data.args[0]);
            notice.socket.reset(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), socket, 0)));
        }
        if (notice.socket) look_at(notice, refused);
        seccomp_notif_resp answer{};
        answer.id = received.id;
        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        // ENOENT: the caller is gone and needs no answer.
        if (::ioctl(notify_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0 && errno != ENOENT) {
            return io_error("watch: answer a notice");
        }
    }
    return refused;
}

bool Watch::is_valid(std::uint64_t notice_id) const {
    return ::ioctl(notify_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &notice_id) == 0;
}

void Watch::look_at(const Notice& notice, std::vector<ledger::ConnectionRefused>& refused) {
    const int domain = option_of(notice.socket.get(), SO_DOMAIN);
    if (domain != AF_INET && domain != AF_INET6) return;  // most notices of short commands are AF_UNIX: nothing to note
    const Destination destination = destination_of(notice.pid, notice.call);
    const std::size_t size = std::min<std::uint64_t>(destination.size, sizeof(sockaddr_storage));
    std::optional<Attempt> attempt = parse_address(read_memory(notice.pid, destination.address, size));
    const std::optional<StatusFacts> status = read_status(notice.pid);
    std::optional<ledger::ClaimedProcess> process;
    if (status) process = describe_process(*status, init_pid_);
    if (!is_valid(notice.id)) return;  // the caller died: what was read may be another process's
    if (attempt) {
        attempt->is_udp = option_of(notice.socket.get(), SO_TYPE) != SOCK_STREAM;
        if (const std::string reason = refusal_of(*attempt, ports_); !reason.empty()) {
            refused.push_back({attempt->address + ":" + std::to_string(attempt->port), reason, std::move(process)});
            return;
        }
        if (attempt->is_udp) return;
    }
    if (process) claims_.remember(cookie_of(notice.socket.get()), std::move(*process));
}

}  // namespace sanctum::launcher
