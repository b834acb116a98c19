// SPDX-License-Identifier: Apache-2.0
#include "interceptor/tls/client_hello.hpp"

#include "network/host_name.hpp"

#include <algorithm>

namespace sanctum::interceptor {
namespace {

constexpr unsigned char kHostNameType = 0;

std::size_t number16(std::span<const unsigned char> bytes) {
    return static_cast<std::size_t>(bytes[0]) << 8U | bytes[1];
}

bool is_name_byte(unsigned char byte) {
    const char c = static_cast<char>(byte);
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == ':';
}

}  // namespace

std::optional<std::string> parse_server_name(std::span<const unsigned char> extension) {
    // ServerNameList: u16 length of the list, then for the one entry we accept: u8 type, u16 length, name.
    constexpr std::size_t kHeadBytes = 5;
    if (extension.size() <= kHeadBytes || number16(extension) != extension.size() - 2) return std::nullopt;
    if (extension[2] != kHostNameType) return std::nullopt;
    const std::span<const unsigned char> name = extension.subspan(kHeadBytes);
    if (number16(extension.subspan(3)) != name.size() || name.size() > 255) return std::nullopt;
    if (!std::all_of(name.begin(), name.end(), is_name_byte)) return std::nullopt;
    return network::to_lower({reinterpret_cast<const char*>(name.data()), name.size()});
}

}  // namespace sanctum::interceptor
