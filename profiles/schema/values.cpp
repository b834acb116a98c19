// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/values.hpp"

#include "base/limits.hpp"
#include "profiles/schema/diagnostics.hpp"

#include <algorithm>
#include <array>
#include <arpa/inet.h>
#include <charconv>
#include <libpsl.h>
#include <limits>

namespace sanctum::profiles {
namespace {

constexpr std::size_t kHostCharsMax = 253;  // RFC 1035, 2.3.4, without the root label
constexpr std::size_t kLabelCharsMax = 63;

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};
constexpr std::array<Unit, 4> kDurations = {{{"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 5> kSizes = {
    {{"B", 1}, {"KiB", 1ULL << 10U}, {"MiB", 1ULL << 20U}, {"GiB", 1ULL << 30U}, {"TiB", 1ULL << 40U}}};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

template <std::size_t N>
Parsed<std::uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, N>& units, std::string_view what,
                                      std::string_view example) {
    const Fault fault{"`" + std::string(text) + "` is not a " + std::string(what),
                      "write a whole number and a unit, as in " + std::string(example)};
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || text.empty() || !is_digit(text[0])) return fault;
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    for (const Unit& known : units) {
        if (unit != known.name) continue;
        if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / known.factor) {
            return Fault{"`" + std::string(text) + "` is too large", {}};
        }
        return number * known.factor;
    }
    return fault;
}

template <std::size_t N>
std::string format_with_unit(std::uint64_t value, const std::array<Unit, N>& units) {
    for (std::size_t i = units.size(); i-- > 0;) {
        if (value != 0 && value % units[i].factor == 0) {
            return std::to_string(value / units[i].factor) + std::string(units[i].name);
        }
    }
    return {};
}

bool is_address(std::string_view text) {
    std::string bare(text);
    if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
    in6_addr address{};
    return ::inet_pton(AF_INET, bare.c_str(), &address) == 1 || ::inet_pton(AF_INET6, bare.c_str(), &address) == 1;
}

bool is_label(std::string_view label) {
    const auto is_ldh = [](char c) { return is_lower(c) || is_digit(c) || c == '-'; };
    return !label.empty() && label.size() <= kLabelCharsMax && std::all_of(label.begin(), label.end(), is_ldh) &&
           !label.starts_with('-') && !label.ends_with('-');
}

bool is_host_name(std::string_view text) {
    if (text.empty() || text.size() > kHostCharsMax) return false;
    std::string_view label;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t dot = std::min(text.find('.', at), text.size());
        label = text.substr(at, dot - at);
        if (!is_label(label)) return false;
        at = dot + 1;
    }
    // An all-digit last label would be read as an IPv4 address by some clients (WHATWG URL, "ends in a number").
    return !std::all_of(label.begin(), label.end(), is_digit);
}

// What an author most often writes instead of a bare name.
Fault host_fault(std::string_view text) {
    const std::string shown = "`" + std::string(text) + "` is not a host name";
    if (is_address(text)) {
        return {"`" + std::string(text) + "` is an address, not a host name",
                "name the host; addresses belong to the operator's configuration, [upstream.host.\"NAME\"] address"};
    }
    if (text.find("://") != std::string_view::npos || text.find('/') != std::string_view::npos) {
        return {shown, "leave out scheme and path; paths belong to `match`"};
    }
    if (text.find(':') != std::string_view::npos) {
        return {shown, "leave out the port; where another than 443 can be meant, `ports` says it"};
    }
    if (text.ends_with('.')) return {shown, "leave out the last dot"};
    if (std::any_of(text.begin(), text.end(), is_upper) && is_host_name(lower(text))) {
        return {shown, "host names are written in lower case: " + lower(text)};
    }
    if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80U; })) {
        return {shown, "write international names in their ASCII form, xn--…"};
    }
    if (text.find('*') != std::string_view::npos) {
        return {shown, "a `*` may only be the whole first label, as in *.example.org"};
    }
    return {shown, "letters a-z, digits and hyphens, in labels separated by dots"};
}

Parsed<std::string> check_wildcard(std::string_view text) {
    const std::string parent(text.substr(2));
    if (!is_host_name(parent)) return host_fault(text);
    if (parent.find('.') == std::string::npos) {
        return Fault{"`" + std::string(text) + "` covers a whole top-level domain",
                     "name the domain, as in *.example." + parent};
    }
    if (psl_is_public_suffix(psl_builtin(), parent.c_str()) == 1) {
        return Fault{"`" + std::string(text) + "` covers names that anybody can register below " + parent,
                     "name the hosts, or one domain below it, as in *.example." + parent};
    }
    return std::string(text);
}

Parsed<std::uint16_t> parse_port(std::string_view text) {
    std::uint32_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0 || port > 65535 || text[0] == '0') {
        return Fault{"`" + std::string(text) + "` is not a port", "1 to 65535"};
    }
    return static_cast<std::uint16_t>(port);
}

}  // namespace

Parsed<std::int64_t> parse_duration(std::string_view text) {
    const Parsed<std::uint64_t> parsed = parse_with_unit(text, kDurations, "duration", "30s, 5m, 2h or 7d");
    if (const Fault* fault = std::get_if<Fault>(&parsed)) return *fault;
    return static_cast<std::int64_t>(std::get<std::uint64_t>(parsed));
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
    return parse_with_unit(text, kSizes, "size", "512MiB or 2GiB");
}

std::string format_duration(std::int64_t ms) {
    const std::string exact = format_with_unit(static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0)), kDurations);
    return exact.empty() ? std::to_string(ms) + "ms" : exact;
}

std::string format_size(std::uint64_t bytes) {
    const std::string exact = format_with_unit(bytes, kSizes);
    return exact.empty() ? "0B" : exact;
}

Parsed<std::string> parse_name_text(std::string_view text, std::string_view what) {
    const auto is_inner = [](char c) { return is_lower(c) || is_digit(c) || c == '.' || c == '_' || c == '-'; };
    if (text.size() <= kNameCharsMax && !text.empty() && (is_lower(text[0]) || is_digit(text[0])) &&
        std::all_of(text.begin(), text.end(), is_inner)) {
        return std::string(text);
    }
    return Fault{"`" + std::string(text) + "` cannot be the name of " + std::string(what),
                 "a-z and 0-9, then also . _ - (at most " + std::to_string(kNameCharsMax) + " characters)"};
}

Parsed<std::string> parse_host(std::string_view text, Wildcard wildcard) {
    if (text == "localhost" || text.ends_with(".localhost")) {
        return Fault{
            "`" + std::string(text) + "` is the sandbox itself inside a mission",
            "give the machine's service another name in the operator's configuration, [upstream.host.\"NAME\"]"};
    }
    if (text.starts_with("*.")) {
        if (wildcard == Wildcard::Leading) return check_wildcard(text);
        return Fault{"`" + std::string(text) + "` is a wildcard; a credential goes to hosts named one by one",
                     "name the hosts"};
    }
    if (!is_host_name(text)) return host_fault(text);
    return std::string(text);
}

Parsed<std::string> parse_https_url(std::string_view text) {
    constexpr std::string_view kScheme = "https://";
    const Fault fault{"`" + std::string(text) + "` is not an https address", "as in https://login.example.org/token"};
    if (text.starts_with("http://")) {
        return Fault{"`" + std::string(text) + "` would send secrets in the clear", "write https://"};
    }
    if (!text.starts_with(kScheme)) return fault;
    const std::string_view rest = text.substr(kScheme.size());
    const std::size_t slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    const std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
    const bool is_plain = std::all_of(path.begin(), path.end(), [](char c) {
        return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '"' && c != '\\';
    });
    if (!is_plain) return fault;
    if (const std::size_t colon = authority.rfind(':'); colon != std::string_view::npos) {
        if (!std::holds_alternative<std::uint16_t>(parse_port(authority.substr(colon + 1)))) return fault;
        authority = authority.substr(0, colon);
    }
    Parsed<std::string> host = parse_host(authority, Wildcard::Refused);
    if (std::holds_alternative<Fault>(host)) return host;
    return std::string(text);
}

Parsed<std::string> parse_address_port(std::string_view text) {
    const Fault fault{"`" + std::string(text) + "` is not an address and port", "as in 127.0.0.1:8443 or [::1]:8443"};
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return fault;
    std::string address(text.substr(0, colon));
    const Parsed<std::uint16_t> port = parse_port(text.substr(colon + 1));
    if (!std::holds_alternative<std::uint16_t>(port)) return fault;
    const bool is_bracketed = address.starts_with('[') && address.ends_with(']');
    if (is_bracketed) address = address.substr(1, address.size() - 2);
    std::array<char, INET6_ADDRSTRLEN> canonical{};
    in6_addr bytes{};
    const int family = is_bracketed ? AF_INET6 : AF_INET;
    if (::inet_pton(family, address.c_str(), &bytes) != 1) return fault;
    if (::inet_ntop(family, &bytes, canonical.data(), canonical.size()) == nullptr) return fault;
    const std::string shown = is_bracketed ? "[" + std::string(canonical.data()) + "]" : std::string(canonical.data());
    return shown + ":" + std::to_string(std::get<std::uint16_t>(port));
}

Parsed<std::string> parse_cidr(std::string_view text) {
    const Fault fault{"`" + std::string(text) + "` is not an address range", "as in 10.2.0.0/16 or fd00::/8"};
    const std::size_t slash = text.find('/');
    const std::string address(text.substr(0, slash));
    std::array<std::uint8_t, 16> bytes{};
    const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
    if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return fault;
    const std::uint32_t bits = is_v4 ? 32 : 128;
    std::uint32_t prefix = bits;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
        if (error != std::errc() || end != digits.data() + digits.size() || prefix > bits) return fault;
    }
    for (std::uint32_t bit = prefix; bit < bits; ++bit) {
        const std::uint32_t byte = bytes[bit / 8];
        if (((byte >> (7U - bit % 8U)) & 1U) != 0) {
            return Fault{"`" + std::string(text) + "` has bits set behind its prefix",
                         "is the prefix too short, or is one address meant?"};
        }
    }
    std::array<char, INET6_ADDRSTRLEN> canonical{};
    if (::inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes.data(), canonical.data(), canonical.size()) == nullptr) {
        return fault;
    }
    return std::string(canonical.data()) + "/" + std::to_string(prefix);
}

std::optional<TooWide> too_wide(std::string_view path, std::string_view home) {
    while (home.size() > 1 && home.ends_with('/')) home.remove_suffix(1);
    if (path == "/") return TooWide{"is the whole machine", "name the folder that is needed"};
    if (path == home) return TooWide{"is your home folder", "name a folder in it"};
    const bool holds_home = home.size() > path.size() && home.starts_with(path) && home[path.size()] == '/';
    if (holds_home) return TooWide{"holds your home folder", "name a smaller folder"};
    return std::nullopt;
}

Parsed<std::string> parse_path(std::string_view text, std::string_view folder, std::string_view home) {
    std::string joined;
    if (text == "~" || text.starts_with("~/")) {
        if (!home.starts_with('/')) {
            return Fault{"`" + std::string(text) + "`: HOME is not set", "write the whole path"};
        }
        joined = std::string(home) + std::string(text.substr(1));
    } else if (text.starts_with('~')) {
        return Fault{"`" + std::string(text) + "`: only one's own `~` is known", "write the whole path"};
    } else if (text.starts_with('/')) {
        joined = text;
    } else {
        joined = std::string(folder) + "/" + std::string(text);
    }
    // `..` is taken away as text: the path names a place for the author; whether it is a link is the plan's concern.
    std::vector<std::string_view> parts;
    for (std::string_view rest = joined; !rest.empty();) {
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        const std::string_view part = rest.substr(0, slash);
        rest.remove_prefix(std::min(slash + 1, rest.size()));
        if (part == ".." && !parts.empty()) parts.pop_back();
        if (!part.empty() && part != "." && part != "..") parts.push_back(part);
    }
    std::string out;
    for (const std::string_view part : parts) out += "/" + std::string(part);
    return out.empty() ? std::string("/") : out;
}

bool is_variable_name(std::string_view text) {
    const auto is_inner = [](char c) { return is_lower(c) || is_upper(c) || is_digit(c) || c == '_'; };
    return !text.empty() && text.size() <= kNameCharsMax * 4 && !is_digit(text[0]) &&
           std::all_of(text.begin(), text.end(), is_inner);
}

}  // namespace sanctum::profiles
