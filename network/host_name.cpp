// SPDX-License-Identifier: Apache-2.0
#include "network/host_name.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>

namespace sanctum::network {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_'; });
}

// `123`, `0x7f`: what some resolvers read as (part of) an IPv4 address.
bool looks_numeric(std::string_view label) {
    if (label.starts_with("0x")) return true;
    return std::all_of(label.begin(), label.end(), is_digit);
}

}  // namespace

bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    std::string_view rest = name;
    for (;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view label = rest.substr(0, dot);
        if (!is_label(label)) return false;
        if (dot == std::string_view::npos) return !looks_numeric(label);
        rest.remove_prefix(dot + 1);
    }
}

bool is_address_literal(std::string_view text) {
    if (text.size() >= INET6_ADDRSTRLEN) return false;
    const std::string terminated(text);
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return ::inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1;
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
    return lower;
}

}  // namespace sanctum::network
