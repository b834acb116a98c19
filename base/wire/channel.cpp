// SPDX-License-Identifier: Apache-2.0
#include "base/wire/channel.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace sanctum::wire {
namespace {

constexpr std::array<const char*, 39> kKindNames = {
    "", "hello", "start.interceptor", "start.vault", "ready.interceptor", "ready.vault", "connection.opened",
    "connection.refused", "exchange.intent", "recorded", "exchange.refused", "exchange.outcome", "ask",
    "answer", "withdraw", "approved", "lease.need", "lease.held", "lease.failed", "lease.used", "lease.gone",
    "lease.changed", "dial", "dialled", "stop", "stopped", "retire", "retired", "failed",
    "service.revoke", "budget.share", "budget.shared", "child.offered", "child.admitted", "child.refused",
    "child.ended", "child.end", "login.need", "login.answered"};

bool is_known_kind(std::uint16_t kind) { return kind >= 1 && kind < kKindNames.size(); }

std::optional<Kind> kind_named(std::string_view name) {
    for (std::size_t i = 1; i < kKindNames.size(); ++i) {
        if (name == kKindNames[i]) return static_cast<Kind>(i);
    }
    return std::nullopt;
}

// Takes `"type":"NAME"` off the front of a JSON head; the writer always puts it first.
Result<Packet> parse_json_head(std::string_view head) {
    constexpr std::string_view kPrefix = "{\"type\":\"";
    if (!head.starts_with(kPrefix)) return Error{Errc::Protocol, "wire: JSON head without a type"};
    const std::size_t end = head.find('"', kPrefix.size());
    if (end == std::string_view::npos) return Error{Errc::Protocol, "wire: JSON head without a type"};
    const std::optional<Kind> kind = kind_named(head.substr(kPrefix.size(), end - kPrefix.size()));
    if (!kind) return Error{Errc::Protocol, "wire: unknown message type"};
    Packet packet;
    packet.kind = *kind;
    packet.body = std::string(head);
    return packet;
}

Result<Packet> parse_head(std::string_view head) {
    if (head.size() < 2) return Error{Errc::Protocol, "wire: empty head"};
    if (head.front() == '{') return parse_json_head(head);
    const auto number = static_cast<std::uint16_t>(static_cast<std::uint8_t>(head[0]) |
                                                   (static_cast<std::uint8_t>(head[1]) << 8U));
    if (!is_known_kind(number)) return Error{Errc::Protocol, "wire: unknown message kind"};
    Packet packet;
    packet.kind = static_cast<Kind>(number);
    packet.body = std::string(head.substr(2));
    return packet;
}

/// In a head's length: behind this head comes another message.
constexpr std::uint32_t kMoreFollows = 0x8000'0000;

std::uint32_t read_length(std::string_view datagram) {
    std::uint32_t length = 0;
    for (std::size_t i = 4; i-- > 0;) length = (length << 8U) | static_cast<std::uint8_t>(datagram[i]);
    return length;
}

std::array<char, 4> length_bytes(std::uint32_t length) {
    std::array<char, 4> bytes{};
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>((length >> (8 * i)) & 0xffU);
    return bytes;
}

Result<bool> send_datagram(int fd, const msghdr& message) {
    while (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN) return false;
        if (errno != EINTR) return io_error("wire: send");
    }
    return true;
}

Status wait_for(int fd, short events, std::chrono::milliseconds timeout) {
    pollfd wait{fd, events, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(timeout.count()));
    if (ready < 0 && errno != EINTR) return io_error("wire: poll");
    if (ready == 0) return Error{Errc::Timeout, "wire: the other process did not answer in time"};
    return {};
}

}  // namespace

const char* name_of(Kind kind) {
    const auto number = static_cast<std::uint16_t>(kind);
    return is_known_kind(number) ? kKindNames[number] : "unknown";
}

Error Packet::unexpected_kind(Kind wanted) const {
    return Error{Errc::Protocol, std::string("wire: got ") + name_of(kind) + " where " + name_of(wanted) + " was due"};
}

Result<std::pair<UniqueFd, UniqueFd>> make_channel_pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return io_error("wire: socketpair");
    }
    return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string json_head(Kind kind, std::string body) {
    std::string head = std::string("{\"type\":\"") + name_of(kind) + "\"";
    if (body.size() > 2) head += ",";
    return head + body.substr(1);
}

std::string binary_head(Kind kind, std::string body) {
    const auto number = static_cast<std::uint16_t>(kind);
    std::string head;
    head.reserve(body.size() + 2);
    head.push_back(static_cast<char>(number & 0xffU));
    head.push_back(static_cast<char>(number >> 8U));
    head += body;
    return head;
}

Result<std::vector<Packet>> parse_datagram(std::string_view datagram) {
    std::vector<Packet> packets;
    for (;;) {
        if (datagram.size() < 4) return Error{Errc::Protocol, "wire: datagram without a head length"};
        const std::uint32_t length = read_length(datagram);
        datagram.remove_prefix(4);
        const std::size_t head_size = length & ~kMoreFollows;
        if (head_size > datagram.size()) return Error{Errc::Protocol, "wire: head longer than its datagram"};
        SANCTUM_TRY(Packet packet, parse_head(datagram.substr(0, head_size)));
        if (packets.size() == kWireJoinedMessagesMax) return Error{Errc::Protocol, "wire: too many messages at once"};
        packets.push_back(std::move(packet));
        datagram.remove_prefix(head_size);
        if ((length & kMoreFollows) == 0) break;
    }
    packets.back().secret = Secret(datagram);
    return packets;
}

Result<bool> Channel::try_send_head(std::string_view head, std::span<const int> descriptors, const Secret* secret) {
    const std::string_view tail = secret != nullptr ? secret->reveal() : std::string_view{};
    if (4 + head.size() + tail.size() > kWireDatagramBytesMax || descriptors.size() > kWireDescriptorsMax) {
        return Error{Errc::Limit, "wire: message larger than a datagram may be"};
    }
    std::array<char, 4> length = length_bytes(static_cast<std::uint32_t>(head.size()));
    std::array<iovec, 3> parts = {iovec{length.data(), length.size()},
                                  iovec{const_cast<char*>(head.data()), head.size()},
                                  iovec{const_cast<char*>(tail.data()), tail.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kWireDescriptorsMax)> control{};
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
        cmsghdr* rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), sizeof(int) * descriptors.size());
    }
    return send_datagram(socket_.get(), message);
}

Result<std::size_t> Channel::try_send_joined(const std::deque<std::string>& heads) {
    std::size_t count = 0, size = 0;
    for (const std::string& head : heads) {
        const bool is_full = size + 4 + head.size() > kWireJoinedBytesMax || count == kWireJoinedMessagesMax;
        if (is_full && count > 0) break;
        size += 4 + head.size();
        ++count;
    }
    if (count <= 1) {
        if (count == 0) return std::size_t{0};
        SANCTUM_TRY(const bool is_away, try_send_head(heads.front(), {}, nullptr));
        return std::size_t{is_away ? 1U : 0U};
    }
    std::string datagram;
    datagram.reserve(size);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t more = i + 1 < count ? kMoreFollows : 0;
        const std::array<char, 4> length = length_bytes(static_cast<std::uint32_t>(heads[i].size()) | more);
        datagram.append(length.data(), length.size()).append(heads[i]);
    }
    iovec part{datagram.data(), datagram.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    SANCTUM_TRY(const bool is_away, send_datagram(socket_.get(), message));
    return is_away ? count : 0;
}

Status Channel::send_head(std::string_view head, std::span<const int> descriptors, const Secret* secret) {
    for (;;) {
        SANCTUM_TRY(const bool sent, try_send_head(head, descriptors, secret));
        if (sent) return {};
        SANCTUM_CHECK(wait_for(socket_.get(), POLLOUT, kWireSendTimeout));
    }
}

std::optional<Packet> Channel::take_unread() {
    if (unread_.empty()) return std::nullopt;
    Packet packet = std::move(unread_.back());
    unread_.pop_back();
    return packet;
}

Result<std::optional<Packet>> Channel::receive() {
    if (std::optional<Packet> packet = take_unread()) return packet;
    // One buffer per thread, wiped after each datagram that carried a secret or may have: no allocation per message.
    thread_local std::array<char, kWireDatagramBytesMax> buffer;
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kWireDescriptorsMax)> control{};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t size = 0;
    do {
        size = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EAGAIN) return std::optional<Packet>{};
    if (size < 0 && errno == ECONNRESET) return Error{Errc::Cancelled, "wire: the other process is gone", ECONNRESET};
    if (size < 0) return io_error("wire: receive");

    std::vector<UniqueFd> descriptors;
    for (cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr; rights = CMSG_NXTHDR(&message, rights)) {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(rights) + i * sizeof(int), sizeof(int));
            descriptors.emplace_back(fd);
        }
    }
    if (size == 0) return Error{Errc::Cancelled, "wire: the other process closed its end"};
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        wipe({buffer.data(), static_cast<std::size_t>(size)});
        return Error{Errc::Protocol, "wire: datagram larger than allowed"};
    }
    Result<std::vector<Packet>> packets = parse_datagram({buffer.data(), static_cast<std::size_t>(size)});
    const bool is_plain = packets.has_value() && packets->back().secret.is_empty();
    if (!is_plain) wipe({buffer.data(), static_cast<std::size_t>(size)});
    if (!packets) return std::move(packets).error();
    packets->back().descriptors = std::move(descriptors);
    std::reverse(packets->begin(), packets->end());
    unread_ = std::move(*packets);
    return take_unread();
}

Result<Packet> Channel::receive_within(std::chrono::milliseconds timeout) {
    for (;;) {
        SANCTUM_TRY(std::optional<Packet> packet, receive());
        if (packet) return std::move(*packet);
        SANCTUM_CHECK(wait_for(socket_.get(), POLLIN, timeout));
    }
}

}  // namespace sanctum::wire
