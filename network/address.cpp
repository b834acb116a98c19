// SPDX-License-Identifier: Apache-2.0
#include "network/address.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <vector>

namespace sanctum::network {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

Address mapped(const void* four_bytes) {
    Address address;
    std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin());
    std::memcpy(address.bytes.data() + kMapped.size(), four_bytes, 4);
    return address;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, Number max) {
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
    // One spelling per number: no leading zeros.
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return value;
}

enum class Allowable { Yes, Never };

struct Special {
    const char* prefix;
    const char* what;
    Allowable allowable = Allowable::Yes;
};

// Services that hand out credentials of the machine itself: no configuration permits them.
constexpr Special kMetadata[] = {
    {"169.254.169.254", "a cloud metadata service", Allowable::Never},
    {"169.254.170.2", "a container credential service", Allowable::Never},
    {"169.254.170.23", "a container credential service", Allowable::Never},
    {"168.63.129.16", "a cloud metadata service", Allowable::Never},
    {"100.100.100.200", "a cloud metadata service", Allowable::Never},
    {"192.0.0.192", "a cloud metadata service", Allowable::Never},
    {"fd00:ec2::254", "a cloud metadata service", Allowable::Never},
    {"fd00:ec2::23", "a container credential service", Allowable::Never},
    {"fd20:ce::254", "a cloud metadata service", Allowable::Never},
};

// IANA's special-purpose registries (RFC 6890 and its updates).
constexpr Special kSpecial[] = {
    {"0.0.0.0/8", "unspecified", Allowable::Never},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "carrier-grade NAT"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "reserved for protocols"},
    {"192.0.2.0/24", "documentation"},
    {"192.31.196.0/24", "an anycast sink"},
    {"192.52.193.0/24", "a multicast relay"},
    {"192.88.99.0/24", "a 6to4 relay"},
    {"192.168.0.0/16", "private"},
    {"192.175.48.0/24", "an anycast sink"},
    {"198.18.0.0/15", "the range of the sandbox's own names", Allowable::Never},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast", Allowable::Never},
    {"255.255.255.255", "broadcast", Allowable::Never},
    {"240.0.0.0/4", "reserved"},
    {"::", "unspecified", Allowable::Never},
    {"::1", "loopback"},
    {"::/96", "IPv4-compatible"},
    {"64:ff9b::/96", "NAT64"},
    {"64:ff9b:1::/48", "NAT64"},
    {"100::/64", "discard-only"},
    {"2001::/32", "Teredo"},
    {"2001:2::/48", "benchmarking"},
    {"2001:10::/28", "ORCHID"},
    {"2001:20::/28", "ORCHID"},
    {"2001::/23", "reserved for protocols"},
    {"2001:db8::/32", "documentation"},
    {"2002::/16", "6to4"},
    {"3ffe::/16", "a returned test range"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "segment routing"},
    {"fc00::/7", "unique local"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast", Allowable::Never},
};

struct Row {
    Prefix prefix;
    const Special* special;
};

std::vector<Row> rows_of(std::span<const Special> table) {
    std::vector<Row> rows;
    for (const Special& special : table) {
        const std::optional<Prefix> prefix = Prefix::parse(special.prefix);
        SANCTUM_ASSERT(prefix.has_value());
        rows.push_back({*prefix, &special});
    }
    return rows;
}

const Special* find_special(const Address& address) {
    static const std::vector<Row> metadata = rows_of(kMetadata);
    static const std::vector<Row> special = rows_of(kSpecial);
    for (const std::vector<Row>* rows : {&metadata, &special}) {
        const auto row = std::find_if(rows->begin(), rows->end(),
                                      [&](const Row& candidate) { return candidate.prefix.contains(address); });
        if (row != rows->end()) return row->special;
    }
    return nullptr;
}

bool is_global_unicast_v6(const Address& address) { return (address.bytes[0] & 0xe0U) == 0x20U; }

// IPv4 addresses that an IPv6 address carries to some gateway: what would really be reached.
std::vector<Address> embedded_v4(const Address& address) {
    const auto starts = [&](const char* prefix) { return Prefix::parse(prefix)->contains(address); };
    const std::uint8_t* const bytes = address.bytes.data();
    std::vector<Address> inside;
    if (address.is_v4() || starts("::1")) return inside;
    if (starts("::/96") || starts("64:ff9b::/96")) inside.push_back(mapped(bytes + 12));
    if (starts("2002::/16")) inside.push_back(mapped(bytes + 2));
    if (starts("2001::/32")) {
        inside.push_back(mapped(bytes + 4));
        std::array<std::uint8_t, 4> client{};
        for (std::size_t i = 0; i < 4; ++i) client[i] = static_cast<std::uint8_t>(bytes[12 + i] ^ 0xffU);
        inside.push_back(mapped(client.data()));
    }
    return inside;
}

std::optional<std::string> never_allowed(const Address& address) {
    std::vector<Address> readings = embedded_v4(address);
    readings.push_back(address);
    for (const Address& reading : readings) {
        const Special* special = find_special(reading);
        if (special != nullptr && special->allowable == Allowable::Never) {
            return address.text() + " is " + special->what + ", which no setting permits";
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
    if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
    const std::string terminated(text);
    in_addr four{};
    if (::inet_pton(AF_INET, terminated.c_str(), &four) == 1) return mapped(&four);
    Address address;
    if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
    return std::nullopt;
}

std::optional<Address> Address::from(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &address, sizeof(four));
        return mapped(&four.sin_addr);
    }
    if (address.sa_family != AF_INET6) return std::nullopt;
    sockaddr_in6 six{};
    std::memcpy(&six, &address, sizeof(six));
    Address result;
    std::memcpy(result.bytes.data(), &six.sin6_addr, result.bytes.size());
    return result;
}

bool Address::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

std::string Address::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    if (is_v4()) ::inet_ntop(AF_INET, bytes.data() + kMapped.size(), buffer.data(), buffer.size());
    else ::inet_ntop(AF_INET6, bytes.data(), buffer.data(), buffer.size());
    return buffer.data();
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const bool is_bracketed = host.starts_with('[') && host.ends_with(']');
    if (is_bracketed) host = host.substr(1, host.size() - 2);
    const std::optional<Address> address = Address::parse(host);
    const auto port = parse_number<unsigned>(text.substr(colon + 1), 65535U);
    if (!address || !port || *port == 0 || is_bracketed == (host.find(':') == std::string_view::npos)) {
        return std::nullopt;
    }
    return SocketAddress{*address, static_cast<std::uint16_t>(*port)};
}

std::string SocketAddress::text() const {
    const std::string host = address.text();
    return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

std::optional<Prefix> Prefix::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::optional<Address> address = Address::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    Prefix prefix{*address, 128};
    if (slash != std::string_view::npos) {
        const unsigned width = address->is_v4() && text.find(':') == std::string_view::npos ? 32 : 128;
        const auto bits = parse_number<unsigned>(text.substr(slash + 1), width);
        if (!bits) return std::nullopt;
        prefix.bits = 128 - width + *bits;
    }
    for (unsigned bit = prefix.bits; bit < 128; ++bit) {
        if ((address->bytes[bit / 8] & (0x80U >> (bit % 8))) != 0) return std::nullopt;
    }
    return prefix;
}

bool Prefix::contains(const Address& other) const {
    const unsigned whole = bits / 8;
    if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole, other.bytes.begin())) return false;
    if (bits % 8 == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xffU << (8 - bits % 8));
    return (address.bytes[whole] & mask) == (other.bytes[whole] & mask);
}

std::optional<std::string> judge_address(const Address& address, std::span<const Prefix> allowed) {
    if (std::optional<std::string> never = never_allowed(address)) return never;
    if (std::any_of(allowed.begin(), allowed.end(), [&](const Prefix& prefix) { return prefix.contains(address); })) {
        return std::nullopt;
    }
    const Special* special = find_special(address);
    if (special != nullptr) return address.text() + " is " + special->what;
    // IPv6 outside 2000::/3 has no global meaning today.
    if (!address.is_v4() && !is_global_unicast_v6(address)) return address.text() + " is reserved";
    return std::nullopt;
}

std::optional<std::string> judge_named_address(const Address& address) { return never_allowed(address); }

}  // namespace sanctum::network
