// SPDX-License-Identifier: Apache-2.0
// AddressPool: which address of 198.18.0.0/15 stands for which name in this mission. A connection to such an address
// tells us the name that was looked up; nothing else in the sandbox gives a name an address.
#pragma once

#include "base/limits.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sanctum::interceptor {

/// IPv4 addresses as host-order numbers. Bounded: the name that was used longest ago gives its place up, and its
/// address is given to another name only after all others have been.
class AddressPool {
public:
    explicit AddressPool(std::size_t names_max = kDnsNamesMax) : names_max_(names_max) {}

    /// The name's address; given now when it has none. `name` is lower-case without a last dot.
    [[nodiscard]] std::uint32_t address_of(const std::string& name);
    /// The name that holds an address, and counts as a use of it; nullopt when none does.
    [[nodiscard]] std::optional<std::string> name_of(std::uint32_t address);

    /// While a connection is open its name keeps its place.
    void hold(std::uint32_t address);
    void release(std::uint32_t address);

    [[nodiscard]] static bool contains(std::uint32_t address) { return (address & kMask) == kBase; }

    static constexpr std::uint32_t kBase = 0xc6120000;   ///< 198.18.0.0
    static constexpr std::uint32_t kMask = 0xfffe0000;
    static constexpr std::uint32_t kFirst = kBase + 4;   ///< the three below are the sandbox's own
    static constexpr std::uint32_t kLast = kBase + 0x1fffe;

private:
    struct Place {
        std::string name;
        std::uint32_t address = 0;
        std::uint32_t holds = 0;
    };
    [[nodiscard]] std::uint32_t next_free();
    void make_room();

    std::size_t names_max_;
    std::uint32_t next_ = kFirst;
    std::list<Place> places_;  ///< most recently used first
    std::unordered_map<std::string_view, std::list<Place>::iterator> by_name_;
    std::unordered_map<std::uint32_t, std::list<Place>::iterator> by_address_;
};

}  // namespace sanctum::interceptor
