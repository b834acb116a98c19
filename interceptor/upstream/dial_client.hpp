// SPDX-License-Identifier: Apache-2.0
// DialClient: the interceptor's side of its dialler.
#pragma once

#include "interceptor/io/wire_port.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace sanctum::interceptor {

class DialClient {
public:
    DialClient(Loop& loop, wire::Channel channel);

    /// A connected socket for a host entry. Errors: `upstream_address: …` (Denied), `upstream_unreachable: …` (Io).
    [[nodiscard]] net::awaitable<Result<UniqueFd>> dial(std::size_t entry, std::string labels, std::uint16_t port);

    /// Takes the dialler's answers until it is gone. Errors: Cancelled (gone), Protocol.
    [[nodiscard]] net::awaitable<Status> serve();
    void close();

private:
    struct Waiting;
    [[nodiscard]] Status take(wire::Packet packet);

    Loop& loop_;
    WirePort port_;
    std::uint64_t last_ = 0;
    std::unordered_map<std::uint64_t, std::shared_ptr<Waiting>> waiting_;
};

}  // namespace sanctum::interceptor
