// SPDX-License-Identifier: Apache-2.0
// Small questions about bytes of HTTP and URIs, each with one answer for the whole interceptor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sanctum::interceptor {

[[nodiscard]] char lower_case(char c);
[[nodiscard]] std::string lower_case(std::string_view text);
[[nodiscard]] bool is_digit(char c);
/// RFC 9110 section 5.6.2.
[[nodiscard]] bool is_token_char(char c);
[[nodiscard]] bool is_token(std::string_view text);
/// RFC 9110 section 5.5 without obs-text: visible ASCII, space and tab; no space or tab at either end.
[[nodiscard]] bool is_ascii_field_value(std::string_view text);
/// The same with obs-text (bytes from 0x80), which real servers send.
[[nodiscard]] bool is_field_value(std::string_view text);
[[nodiscard]] std::string_view trim(std::string_view text);
/// Compares ASCII text without regard to case.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
/// %XX decoded once; nullopt for an incomplete or non-hexadecimal escape. `+` stays `+`.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
/// Everything but RFC 3986 unreserved characters as %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// Decimal digits only, no sign, no leading zero but `0` itself; nullopt otherwise or above 2^63.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text);

/// Calls `use(item)` for each trimmed, non-empty element of a comma-separated list.
template <class Use>
void for_each_list_item(std::string_view list, Use&& use) {
    while (true) {
        const std::size_t comma = list.find(',');
        const std::string_view item = trim(list.substr(0, comma));
        if (!item.empty()) use(item);
        if (comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

}  // namespace sanctum::interceptor
