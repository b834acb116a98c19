// SPDX-License-Identifier: Apache-2.0
// Channel: one end of a SOCK_SEQPACKET pair between two of our processes.
//
// A datagram is a little-endian u32 head length, the head, then secret bytes. Where the top bit of the length is set,
// what follows the head is the next message, framed in the same way: a busy process says much at once. A head is
// either JSON with a `type` member or a little-endian u16 Kind and fixed-layout fields. This file knows framing and
// descriptors only; who may say what when is each process's state machine.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/messages.hpp"

#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sanctum::wire {

/// One received message. `body` is the head without its kind.
struct Packet {
    Kind kind{};
    std::string body;
    Secret secret;
    std::vector<UniqueFd> descriptors;

    /// Decodes the body. Errors: Protocol (another kind, or a body that does not match).
    template <class Message>
    [[nodiscard]] Result<Message> as() const {
        if (kind != Message::kind) return unexpected_kind(Message::kind);
        if constexpr (Message::is_json) return from_json<Message>(body);
        else return from_binary<Message>(body);
    }

private:
    [[nodiscard]] Error unexpected_kind(Kind wanted) const;
};

/// A connected pair, both ends close-on-exec and non-blocking. Errors: Io.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> make_channel_pair();

/// Encodes a message into head bytes (kind included).
template <class Message>
[[nodiscard]] std::string encode(const Message& message);

/// Owns one end. Not thread-safe.
class Channel {
public:
    Channel() = default;
    explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] bool is_open() const { return socket_.is_open(); }
    void close() {
        socket_.reset();
        unread_.clear();
    }
    [[nodiscard]] UniqueFd release() { return std::move(socket_); }

    /// Sends one message; descriptors are borrowed. Waits (poll) at most kWireSendTimeout when the peer's buffer is
    /// full. Errors: Io (EPIPE: the peer is gone), Timeout, Limit (larger than a datagram may be).
    template <class Message>
    [[nodiscard]] Status send(const Message& message, std::span<const int> descriptors = {},
                              const Secret* secret = nullptr) {
        return send_head(encode(message), descriptors, secret);
    }

    /// The same without waiting: false when the peer's buffer is full and nothing was sent.
    template <class Message>
    [[nodiscard]] Result<bool> try_send(const Message& message, std::span<const int> descriptors = {},
                                        const Secret* secret = nullptr) {
        return try_send_head(encode(message), descriptors, secret);
    }

    /// The next message, or nullopt when none is waiting. Of one datagram there may be more, for which the descriptor
    /// is not readable any more: go on until nullopt, or while has_unread(). Errors: Cancelled (peer closed), Protocol
    /// (framing, too many descriptors, unknown kind), Io.
    [[nodiscard]] Result<std::optional<Packet>> receive();

    /// True when a datagram that was read holds more messages.
    [[nodiscard]] bool has_unread() const { return !unread_.empty(); }

    /// Waits up to `timeout` for the next message. Errors: as receive(), and Timeout.
    [[nodiscard]] Result<Packet> receive_within(std::chrono::milliseconds timeout);

    /// Sends an already encoded head (see encode()).
    [[nodiscard]] Status send_head(std::string_view head, std::span<const int> descriptors, const Secret* secret);
    [[nodiscard]] Result<bool> try_send_head(std::string_view head, std::span<const int> descriptors,
                                             const Secret* secret);
    /// Sends the first of `heads` and as many behind it as one datagram takes (kWireJoinedBytesMax,
    /// kWireJoinedMessagesMax). Returns how many: none when there are none or the peer's buffer is full. Errors: as
    /// send().
    [[nodiscard]] Result<std::size_t> try_send_joined(const std::deque<std::string>& heads);

private:
    [[nodiscard]] std::optional<Packet> take_unread();

    UniqueFd socket_;
    std::vector<Packet> unread_;  ///< of one datagram, the last first
};

/// JSON head of a control message: `{"type":NAME,...}`.
[[nodiscard]] std::string json_head(Kind kind, std::string body);
/// Binary head: u16 kind, then the fields.
[[nodiscard]] std::string binary_head(Kind kind, std::string body);

template <class Message>
std::string encode(const Message& message) {
    if constexpr (Message::is_json) return json_head(Message::kind, to_json(message));
    else return binary_head(Message::kind, to_binary(message));
}

/// Splits one datagram (without its descriptors) into its messages, one at least, in order; the secret bytes are the
/// last one's. Pure; the fuzz target's entry. Errors: Protocol.
[[nodiscard]] Result<std::vector<Packet>> parse_datagram(std::string_view datagram);

}  // namespace sanctum::wire
