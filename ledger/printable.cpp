// SPDX-License-Identifier: Apache-2.0
#include "ledger/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace sanctum::ledger {
namespace {

// The code point at the start of `text` and its length; length 0 for bytes that are no UTF-8.
struct CodePoint {
    std::uint32_t value = 0;
    std::size_t length = 0;
};

CodePoint decode(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    std::uint32_t value = lead & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte & 0xc0U) != 0x80U) return {};
        value = (value << 6U) | (byte & 0x3fU);
    }
    return {value, length};
}

bool is_visible(char character) {
    return character >= 0x20 && character < 0x7f;
}

bool is_plain(char character) {
    const bool is_alphanumeric = (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
                                 (character >= 'a' && character <= 'z');
    return is_alphanumeric || std::string_view("/._-+,:@%").find(character) != std::string_view::npos;
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    std::array<char, 16> escaped{};
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x20 && byte < 0x7f) {
            out += byte == '\\' ? "\\\\" : std::string_view(&text[i], 1);
            ++i;
            continue;
        }
        const CodePoint point = byte < 0x80 ? CodePoint{} : decode(text.substr(i));
        if (byte == '\n') std::snprintf(escaped.data(), escaped.size(), "\\n");
        else if (point.length == 0) std::snprintf(escaped.data(), escaped.size(), "\\x%02x", byte);
        else std::snprintf(escaped.data(), escaped.size(), "\\u{%x}", point.value);
        out += escaped.data();
        i += point.length == 0 ? 1 : point.length;
    }
    return out;
}

std::string shell_word(std::string_view text) {
    if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
    const bool is_ascii = std::all_of(text.begin(), text.end(), is_visible);
    std::string out = is_ascii ? "'" : "$'";
    std::array<char, 8> escaped{};
    for (const char character : text) {
        if (!is_visible(character)) {
            // Three digits always: a digit that follows is not read as part of it.
            std::snprintf(escaped.data(), escaped.size(), "\\%03o", static_cast<unsigned char>(character));
            out += escaped.data();
        } else if (character == '\'') {
            out += is_ascii ? "'\\''" : "\\'";
        } else if (character == '\\' && !is_ascii) {
            out += "\\\\";
        } else {
            out += character;
        }
    }
    out += '\'';
    return out;
}

}  // namespace sanctum::ledger
