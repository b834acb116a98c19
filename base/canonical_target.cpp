// SPDX-License-Identifier: Apache-2.0
#include "base/canonical_target.hpp"

#include "base/hex_digit.hpp"

#include <algorithm>
#include <charconv>

namespace sanctum {
namespace {

constexpr std::size_t kHostBytesMax = 253;  // RFC 1035 section 2.3.4, in text form
constexpr std::size_t kLabelBytesMax = 63;

char lower_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
Error invalid(std::string what) { return Error{Errc::Protocol, std::move(what)}; }

bool is_letter_or_digit(char c) { return is_digit(c) || (lower_case(c) >= 'a' && lower_case(c) <= 'z'); }
bool is_unreserved(char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > kLabelBytesMax || label.front() == '-' || label.back() == '-') return false;
    return std::all_of(label.begin(), label.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_host_name(std::string_view host) {
    if (host.empty() || host.size() > kHostBytesMax) return false;
    while (true) {
        const std::size_t dot = host.find('.');
        if (!is_label(host.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        host.remove_prefix(dot + 1);
    }
}

// Browsers' URL parsers leave [ ] | ^ in paths and more in queries as they are; no server reads them as anything else.
bool is_path_char(char c) {
    return is_unreserved(c) || std::string_view("/!$&'()*+,=:@[]|^").find(c) != std::string_view::npos;
}
bool is_query_char(char c) { return is_path_char(c) || std::string_view(";?{}\\`").find(c) != std::string_view::npos; }

/// One %XX at `text[i]`, checked; the byte it stands for.
Result<unsigned char> escaped_byte(std::string_view text, std::size_t i) {
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return invalid("RFC 3986 2.1: '%' without two hexadecimal digits");
    return static_cast<unsigned char>(high * 16 + low);
}

Status check_escaped_in_path(unsigned char byte, std::string_view behind) {
    const char c = static_cast<char>(byte);
    if (c == '/' || c == '\\') return invalid("RFC 3986 3.3: an escaped slash or backslash in the path");
    if (byte < 0x20 || byte == 0x7f) return invalid("RFC 3986 2.1: an escaped control byte in the path");
    if (byte < 0x80 && is_unreserved(c)) return invalid("RFC 3986 6.2.2.2: an unreserved character is escaped");
    const bool is_twice = c == '%' && behind.size() >= 2 && hex_digit(behind[0]) >= 0 && hex_digit(behind[1]) >= 0;
    if (is_twice) return invalid("RFC 3986 2.4: the path is escaped twice");
    return {};
}

/// True for well-formed UTF-8 without overlong forms and surrogates (RFC 3629 section 4).
bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || i + length > text.size()) return false;
        char32_t point = lead < 0x80 ? lead : lead & (0x7fU >> length);
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xc0U) != 0x80) return false;
            point = (point << 6U) | (next & 0x3fU);
        }
        const bool is_overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
        if (is_overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
        i += length;
    }
    return true;
}

Status check_segments(std::string_view path) {
    std::string_view rest = path.substr(1);
    while (true) {
        const std::size_t slash = rest.find('/');
        const std::string_view segment = rest.substr(0, slash);
        const bool is_last = slash == std::string_view::npos;
        if (segment == "." || segment == "..") return invalid("RFC 3986 5.2.4: a dot segment in the path");
        if (segment.empty() && !is_last) return invalid("RFC 3986 3.3: an empty segment in the path");
        if (is_last) return {};
        rest.remove_prefix(slash + 1);
    }
}

}  // namespace

Result<Authority> canonical_authority(std::string_view text) {
    Authority authority;
    const std::size_t colon = text.find(':');
    const std::string_view host = text.substr(0, colon);
    if (!is_host_name(host)) return invalid("RFC 9110 7.2: the host is not a plain host name");
    for (const char c : host) authority.host.push_back(lower_case(c));
    if (colon == std::string_view::npos) return authority;
    const std::string_view digits = text.substr(colon + 1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), authority.port);
    const bool is_port = parsed.ec == std::errc{} && parsed.ptr == digits.data() + digits.size() &&
                         digits.front() != '0' && is_digit(digits.front());
    if (!is_port) return invalid("RFC 9110 7.2: the port behind the host is not a port");
    return authority;
}

Result<std::string> canonical_path(std::string_view text) {
    if (text.empty() || text.front() != '/') return invalid("RFC 9112 3.2.1: the target does not start with '/'");
    std::string path;
    std::string decoded;
    path.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            if (text[i] == ';') return invalid("RFC 3986 3.3: ';' in the path is read differently by servers");
            if (!is_path_char(text[i])) return invalid("RFC 3986 3.3: a character that a path cannot hold");
            path.push_back(text[i]);
            decoded.push_back(text[i]);
            continue;
        }
        SANCTUM_TRY(const unsigned char byte, escaped_byte(text, i));
        SANCTUM_CHECK(check_escaped_in_path(byte, text.substr(i + 3)));
        for (std::size_t k = 0; k < 3; ++k) {
            const char c = text[i + k];
            path.push_back(c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c);
        }
        decoded.push_back(static_cast<char>(byte));
        i += 2;
    }
    if (!is_utf8(decoded)) return invalid("RFC 3986 2.5: escapes in the path are not UTF-8");
    SANCTUM_CHECK(check_segments(path));
    return path;
}

Status check_query(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            SANCTUM_TRY(const unsigned char byte, escaped_byte(text, i));
            if (byte == 0) return invalid("RFC 3986 3.4: an escaped NUL in the query");
            i += 2;
        } else if (!is_query_char(text[i])) {
            return invalid("RFC 3986 3.4: a character that a query cannot hold");
        }
    }
    return {};
}

}  // namespace sanctum
