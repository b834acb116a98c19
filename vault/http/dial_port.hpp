// SPDX-License-Identifier: Apache-2.0
// DialPort: the vault's side of its dialler.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "network/dialler.hpp"
#include "vault/poll_loop.hpp"
#include "vault/sources/source.hpp"

#include <cstdint>
#include <map>

namespace sanctum::vault {

class DialPort {
public:
    /// `loop` must outlive this object.
    DialPort(PollLoop& loop, network::DiallerProcess dialler);
    DialPort(const DialPort&) = delete;
    DialPort& operator=(const DialPort&) = delete;
    /// Closes the dialler's channel, at which it leaves, and waits for its end.
    ~DialPort();

    using Answer = Completion<Result<UniqueFd>>;
    /// Asks for a connection to a host by its index. `answer` is called once, from the loop: a connected, non-blocking
    /// socket, or Denied (no address that is permitted), Io (not reached, or the dialler is gone). Returns a number for
    /// forget(). Errors: Io (the dialler is gone); `answer` is then not called.
    [[nodiscard]] Result<std::uint64_t> dial(std::uint32_t host, std::uint16_t port, Answer answer);
    /// The answer is not wanted any more; a connection that still comes is closed.
    void forget(std::uint64_t dial) { waiting_.erase(dial); }

private:
    void take_answers();
    [[nodiscard]] Status take(wire::Packet& packet);
    void lose_dialler();

    PollLoop& loop_;
    network::DiallerProcess dialler_;
    std::uint64_t last_ = 0;
    std::map<std::uint64_t, Answer> waiting_;
};

}  // namespace sanctum::vault
