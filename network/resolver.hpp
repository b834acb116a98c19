// SPDX-License-Identifier: Apache-2.0
// Resolver: names to addresses by DNS alone (c-ares): no NSS, no hosts file, no search domains. For the dialler's loop.
#pragma once

#include "base/result.hpp"
#include "network/address.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

namespace sanctum::network {

class Resolver {
public:
    /// `server`: `address:port`, or empty for the servers in the machine's resolv.conf, which is read now. Errors:
    /// Protocol (no such address), Internal (c-ares).
    [[nodiscard]] static Result<std::unique_ptr<Resolver>> create(const std::string& server);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    using Answer = std::function<void(Result<std::vector<Address>>)>;
    /// Looks up A and AAAA of an absolute name. `answer` is called once, from here or from process(), or never when
    /// the resolver goes first. Errors in the answer: NotFound, Timeout, Io.
    void resolve(const std::string& name, Answer answer);

    /// Appends what to wait for.
    void add_descriptors(std::vector<pollfd>& wait) const;
    /// How long poll may wait, at most `max`.
    [[nodiscard]] std::chrono::milliseconds timeout(std::chrono::milliseconds max) const;
    /// Handles what poll reported, and look-ups that timed out.
    void process(std::span<const pollfd> reported);

private:
    struct State;
    explicit Resolver(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sanctum::network
