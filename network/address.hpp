// SPDX-License-Identifier: Apache-2.0
// Network addresses in one canonical form, and which of them an upstream may have. Pure.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sockaddr;

namespace sanctum::network {

/// 16 bytes in network order; IPv4 as `::ffff:a.b.c.d`, so that one address has one form.
struct Address {
    std::array<std::uint8_t, 16> bytes{};
    bool operator==(const Address&) const = default;

    /// Usual notation without brackets, port or zone. nullopt for anything else; no octal, hex or short IPv4 forms.
    [[nodiscard]] static std::optional<Address> parse(std::string_view text);
    /// AF_INET and AF_INET6; nullopt for other families.
    [[nodiscard]] static std::optional<Address> from(const sockaddr& address);
    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] std::string text() const;
};

/// Address and TCP port.
struct SocketAddress {
    Address address;
    std::uint16_t port = 0;
    bool operator==(const SocketAddress&) const = default;

    /// `127.0.0.1:443` or `[::1]:443`.
    [[nodiscard]] static std::optional<SocketAddress> parse(std::string_view text);
    [[nodiscard]] std::string text() const;
};

/// A range of addresses.
struct Prefix {
    Address address;
    unsigned bits = 128;  ///< of the canonical form

    /// `10.2.0.0/16`, `fd00::/8`, or one address. nullopt for anything else, also for host bits that are set.
    [[nodiscard]] static std::optional<Prefix> parse(std::string_view text);
    [[nodiscard]] bool contains(const Address& other) const;
};

/// Why an upstream may not have this address (`127.0.0.1 is loopback`), or nullopt when it may. Only global unicast
/// addresses are fine by themselves; `allowed` (upstream.allow_addresses) permits more, but never cloud metadata
/// services, multicast, the unspecified address or the range that the sandbox's names live in.
[[nodiscard]] std::optional<std::string> judge_address(const Address& address, std::span<const Prefix> allowed);

/// The same for an address that the operator named for one host (`[upstream.host.…] address`): it permits exactly
/// this, apart from what nothing permits.
[[nodiscard]] std::optional<std::string> judge_named_address(const Address& address);

}  // namespace sanctum::network
