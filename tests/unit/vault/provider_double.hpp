// SPDX-License-Identifier: Apache-2.0
// A provider on loopback: a TLS server in a thread that does with each connection what its script says.
#pragma once

#include "base/unique_fd.hpp"
#include "tests/support/loopback.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sanctum::vault::test {

/// What happens once the whole request was read.
struct Turn {
    std::string answer;
    enum class Then : std::uint8_t {
        Close,  ///< in order, with TLS's own word for it
        Break,  ///< without
        Hold,   ///< the connection stays open
    } then = Then::Close;
};

class ProviderDouble {
public:
    /// Listens; connections wait until start(). The last turn is for all further connections. With `client_authority`
    /// only clients whose certificate it signed are served.
    ProviderDouble(const loopback::Identity& identity, std::vector<Turn> turns,
                   const loopback::Identity* client_authority = nullptr);
    ~ProviderDouble();
    ProviderDouble(const ProviderDouble&) = delete;
    ProviderDouble& operator=(const ProviderDouble&) = delete;

    /// After every fork of the test: from here on there is a thread.
    void start();
    [[nodiscard]] std::uint16_t port() const { return listener_.port; }
    /// Connections that were accepted.
    [[nodiscard]] std::size_t connections() const { return connections_; }
    /// What arrived inside TLS, one text per connection that brought any byte.
    [[nodiscard]] std::vector<std::string> requests() const;

private:
    void serve();
    void serve_connection(UniqueFd socket, const Turn& turn);

    const loopback::Identity& identity_;
    const std::vector<Turn> turns_;
    const loopback::Identity* const client_authority_;
    loopback::Listener listener_;
    UniqueFd over_;       ///< closed: the thread leaves
    UniqueFd over_read_;
    std::atomic<std::size_t> connections_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<std::pair<UniqueFd, network::SslPtr>> held_;
    std::thread thread_;
};

}  // namespace sanctum::vault::test
