// SPDX-License-Identifier: Apache-2.0
// The small values of profiles and configurations: durations, sizes, names, host names, addresses. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sanctum::profiles {

/// Why a text is not such a value, and what to write instead.
struct Fault {
    std::string text;
    std::string hint;
};

template <class T>
using Parsed = std::variant<T, Fault>;

/// `30s 5m 2h 7d` → milliseconds.
[[nodiscard]] Parsed<std::int64_t> parse_duration(std::string_view text);

/// `512MiB 2GiB 64KiB 10B` → bytes.
[[nodiscard]] Parsed<std::uint64_t> parse_size(std::string_view text);

/// Inverse of both, for messages: `30m`, `2GiB`; falls back to the smaller unit that is exact.
[[nodiscard]] std::string format_duration(std::int64_t ms);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// Names of missions, agents, services and accounts: a lower-case letter or digit, then also `.`, `_`, `-`.
[[nodiscard]] Parsed<std::string> parse_name_text(std::string_view text, std::string_view what);

enum class Wildcard : std::uint8_t { Refused, Leading };

/// A host name: lower-case A-labels, no port, no address, no trailing dot. With Wildcard::Leading one `*.` may stand
/// before a name that is not a public suffix (publicsuffix.org, private section included).
[[nodiscard]] Parsed<std::string> parse_host(std::string_view text, Wildcard wildcard);

/// `https://host[:port][/path]`, nothing after the path; as it was written. Anything but https is refused: what stands
/// in a configuration is sent secrets.
[[nodiscard]] Parsed<std::string> parse_https_url(std::string_view text);

/// `127.0.0.1:18443` or `[::1]:443`; canonical form back.
[[nodiscard]] Parsed<std::string> parse_address_port(std::string_view text);

/// `10.2.0.0/16`, `fd00::/8` or one address; host bits must be zero.
[[nodiscard]] Parsed<std::string> parse_cidr(std::string_view text);

/// Absolute, without `.`, `..`, `//` and trailing slash; `~` and relative paths are completed first.
[[nodiscard]] Parsed<std::string> parse_path(std::string_view text, std::string_view folder, std::string_view home);

/// Why a place is more than any mission gets, and what to name instead.
struct TooWide {
    const char* why;
    const char* remedy;
};
/// `/`, the home and what holds it, by their text; nullopt: `path` may be given. `home` empty: unknown.
[[nodiscard]] std::optional<TooWide> too_wide(std::string_view path, std::string_view home);

/// Name of an environment variable (POSIX letters, digits, underscore; no leading digit).
[[nodiscard]] bool is_variable_name(std::string_view text);

}  // namespace sanctum::profiles
