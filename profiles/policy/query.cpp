// SPDX-License-Identifier: Apache-2.0
#include "profiles/policy/query.hpp"

#include "base/hex_digit.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

std::string decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+') {
            out.push_back(' ');
        } else if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                   hex_digit(text[i + 2]) >= 0) {
            out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
            i += 2;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> out;
    while (!query.empty()) {
        // `;` separates parameters for some servers; taking it for a separator finds repeats that they would see.
        const std::size_t end = std::min(query.find_first_of("&;"), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        out.emplace_back(decode(pair.substr(0, equals)), decode(pair.substr(std::min(equals + 1, pair.size()))));
    }
    return out;
}

std::optional<std::string> single_parameter(std::string_view query, std::string_view name) {
    std::optional<std::string> found;
    for (auto& [key, value] : parse_query(query)) {
        if (key != name) continue;
        if (found) return std::nullopt;
        found = std::move(value);
    }
    return found;
}

}  // namespace sanctum::profiles
