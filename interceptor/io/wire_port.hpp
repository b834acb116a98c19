// SPDX-License-Identifier: Apache-2.0
// WirePort: a wire channel on the loop. Packets are awaited. Messages leave in order at the end of the loop's turn,
// what one turn has to say together: each datagram wakes the other process. While that one is slow they are queued.
#pragma once

#include "base/wire/channel.hpp"
#include "interceptor/io/descriptor.hpp"
#include "interceptor/io/event.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

namespace sanctum::interceptor {

class WirePort {
public:
    WirePort(Loop& loop, wire::Channel channel);
    WirePort(const WirePort&) = delete;
    WirePort& operator=(const WirePort&) = delete;

    /// The next packet. Errors: Cancelled (the other process closed, or close() was called), Protocol, Io.
    [[nodiscard]] net::awaitable<Result<wire::Packet>> receive();

    /// Hands a message over, in order with earlier ones: it leaves when all that is ready now has run, or at flush()
    /// or close(). With kRecordQueueBytesMax in the queue this waits for room, which holds back the whole process.
    /// Returns the number of the message for is_sent(). Errors: Io (the other process is gone), Timeout (it reads
    /// nothing), Limit (larger than a datagram may be).
    template <class Message>
    [[nodiscard]] Result<std::uint64_t> send(const Message& message) {
        return send_head(wire::encode(message));
    }

    /// True when message number `number` left this process.
    [[nodiscard]] bool is_sent(std::uint64_t number) const { return number <= sent_; }
    /// Completes when it has. Errors: Io, Cancelled, Timeout.
    [[nodiscard]] net::awaitable<Status> wait_sent(std::uint64_t number);

    /// Sends what is queued, waiting for room. Errors: as send().
    [[nodiscard]] Status flush();
    /// Sends what there is room for, then closes.
    void close();
    [[nodiscard]] bool is_open() const { return channel_.is_open(); }

private:
    [[nodiscard]] Result<std::uint64_t> send_head(std::string head);
    void end_turn();
    [[nodiscard]] net::awaitable<void> drain();
    /// Sends from the queue's front until it would block: true when the queue is empty.
    [[nodiscard]] Result<bool> send_queued();
    void pop(std::size_t count);

    Loop& loop_;
    wire::Channel channel_;
    Descriptor waits_;  ///< a duplicate of the channel's descriptor, for waiting only
    Event moved_;
    std::deque<std::string> queue_;
    std::size_t queued_bytes_ = 0;
    std::uint64_t accepted_ = 0;
    std::uint64_t sent_ = 0;
    bool is_turn_begun_ = false;  ///< end_turn() will be called
    bool is_draining_ = false;
    bool is_broken_ = false;
    std::shared_ptr<bool> is_here_ = std::make_shared<bool>(true);  ///< for what the loop calls later
};

}  // namespace sanctum::interceptor
