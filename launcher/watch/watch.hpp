// SPDX-License-Identifier: Apache-2.0
// The watch: answers system-call notices (seccomp_unotify(2)) of connect and of sends with MSG_FASTOPEN, remembers
// which process made which connection, and lets every call go on.
//
// SECURITY: no decision rests on anything read here. A process that lies, races or dies only loses its name in the
// record; every address leads to the interceptor or nowhere.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ledger/ledger.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <sys/types.h>
#include <unordered_map>
#include <vector>

namespace sanctum::launcher {

/// Processes by socket cookie, bounded: the oldest unclaimed one is forgotten first.
class Claims {
public:
    explicit Claims(std::size_t claims_max) : claims_max_(claims_max) {}
    void remember(std::uint64_t cookie, ledger::ClaimedProcess process);
    /// Gives a claim out once. nullopt: unattributed.
    [[nodiscard]] std::optional<ledger::ClaimedProcess> take(std::uint64_t cookie);
    [[nodiscard]] std::size_t size() const { return order_.size(); }

private:
    struct Entry {
        std::uint64_t cookie;
        ledger::ClaimedProcess process;
    };
    std::size_t claims_max_;
    std::list<Entry> order_;  ///< oldest first
    std::unordered_map<std::uint64_t, std::list<Entry>::iterator> by_cookie_;
};

/// What an attempt was, as far as the kernel and the caller's memory told.
struct Attempt {
    bool is_udp = false;
    std::string address;       ///< `192.0.2.1`; empty when it could not be read
    std::uint16_t port = 0;
    bool is_loopback = false;  ///< 127/8, ::1, the any address
};

/// Why an attempt is recorded as refused at once (`no_listener`, `udp`), or empty: it may become a connection, or is
/// the agent's own business. Pure.
[[nodiscard]] std::string refusal_of(const Attempt& attempt, const std::vector<std::uint16_t>& ports);

/// Reads an address family, address and port out of sockaddr bytes. nullopt: not INET or INET6, or too short.
/// v4-mapped IPv6 addresses are shown as IPv4. Pure.
[[nodiscard]] std::optional<Attempt> parse_address(const std::string& sockaddr_bytes);

class Watch {
public:
    /// `init_pid`: where ancestor chains end. `ports`: TCP ports with a listener. Sets SYNC_WAKE_UP where the kernel
    /// has it.
    Watch(UniqueFd notify, pid_t init_pid, std::vector<std::uint16_t> ports);

    [[nodiscard]] int fd() const { return notify_.get(); }
    void close() { notify_.reset(); }

    /// Answers waiting notices, at most kNoticesPerTurnMax. Returns attempts to be recorded as refused.
    /// Errors: Io (the listener is broken; connects fail closed from then on).
    [[nodiscard]] Result<std::vector<ledger::ConnectionRefused>> answer_notices();

    /// Who made the connection with this cookie; each is given out once.
    [[nodiscard]] std::optional<ledger::ClaimedProcess> take_claim(std::uint64_t cookie) {
        return claims_.take(cookie);
    }

private:
    struct Notice;
    [[nodiscard]] bool is_valid(std::uint64_t notice_id) const;
    void look_at(const Notice& notice, std::vector<ledger::ConnectionRefused>& refused);

    UniqueFd notify_;
    pid_t init_pid_;
    std::vector<std::uint16_t> ports_;
    Claims claims_;
};

}  // namespace sanctum::launcher
