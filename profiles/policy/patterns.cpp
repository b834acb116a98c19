// SPDX-License-Identifier: Apache-2.0
#include "profiles/policy/patterns.hpp"

#include "base/hex_digit.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <optional>

namespace sanctum::profiles {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

std::string_view without_last_slash(std::string_view path) {
    if (path.ends_with('/')) path.remove_suffix(1);
    return path;
}

// Takes the first segment off `rest`; false when there is none left. "a//" has the segments "a", "", "".
struct Segments {
    std::string_view rest;
    bool has_more = true;
    std::string_view next() {
        const std::size_t slash = rest.find('/');
        const std::string_view segment = rest.substr(0, slash);
        has_more = slash != std::string_view::npos;
        rest.remove_prefix(has_more ? slash + 1 : rest.size());
        return segment;
    }
};

bool is_any(std::string_view segment) { return segment == "*" || (segment.starts_with('{') && segment.ends_with('}')); }

bool equal_letters(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; };
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

bool equal_segments(std::string_view pattern, std::string_view segment, Reading reading) {
    if (pattern == segment) return true;
    const bool is_escaped = pattern.find('%') != std::string_view::npos || segment.find('%') != std::string_view::npos;
    if (is_escaped) {
        const std::string a = decode_segment(pattern);
        const std::string b = decode_segment(segment);
        return reading == Reading::Lenient ? equal_letters(a, b) : a == b;
    }
    return reading == Reading::Lenient && equal_letters(pattern, segment);
}

bool covers_segments(std::string_view pattern, std::string_view value, Reading reading) {
    Segments wanted{pattern};
    Segments given{value};
    while (wanted.has_more && given.has_more) {
        const std::string_view segment = wanted.next();
        if (segment == "**" && !wanted.has_more) return true;
        const std::string_view actual = given.next();
        if (is_any(segment) ? actual.empty() : !equal_segments(segment, actual, reading)) return false;
    }
    return !wanted.has_more && !given.has_more;
}

// What `narrow` covers, segment by segment, is covered by `wide`.
bool is_segments_within(std::string_view narrow, std::string_view wide) {
    Segments inner{narrow};
    Segments outer{wide};
    while (inner.has_more && outer.has_more) {
        const std::string_view wanted = outer.next();
        if (wanted == "**" && !outer.has_more) return true;
        const std::string_view given = inner.next();
        if (given == "**" && !inner.has_more) return false;
        if (is_any(wanted) ? given.empty() : is_any(given) || !equal_segments(wanted, given, Reading::Exact)) {
            return false;
        }
    }
    return !inner.has_more && !outer.has_more;
}

bool may_segments_overlap(std::string_view a, std::string_view b) {
    Segments left{a};
    Segments right{b};
    while (left.has_more && right.has_more) {
        const std::string_view x = left.next();
        const std::string_view y = right.next();
        if ((x == "**" && !left.has_more) || (y == "**" && !right.has_more)) return true;
        if (!is_any(x) && !is_any(y) && !equal_segments(x, y, Reading::Lenient)) return false;
    }
    return !left.has_more && !right.has_more;
}

bool is_path_character(char c) {
    constexpr std::string_view kOthers = "-._~!$&'()*+,;=:@%";
    return (c >= 'a' && c <= 'z') || is_upper(c) || (c >= '0' && c <= '9') || kOthers.find(c) != std::string_view::npos;
}

std::optional<Fault> check_capture(std::string_view segment) {
    if (!segment.ends_with('}') || segment.find('{', 1) != std::string_view::npos ||
        segment.find('}') != segment.size() - 1) {
        return Fault{"`" + std::string(segment) + "` is not a whole segment in braces", "as in /repos/{owner}/{repo}"};
    }
    const std::string_view name = segment.substr(1, segment.size() - 2);
    const auto is_name = [](char c) {
        return (c >= 'a' && c <= 'z') || is_upper(c) || (c >= '0' && c <= '9') || c == '_';
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_name)) {
        return Fault{"`" + std::string(segment) + "` is not a name in braces", "letters, digits and underscores"};
    }
    return std::nullopt;
}

std::optional<Fault> check_stars(std::string_view segment, bool is_last) {
    if (segment == "*") return std::nullopt;
    if (segment == "**") {
        if (is_last) return std::nullopt;
        return Fault{"`**` stands for the rest and must be last", "write * or {name} for one segment"};
    }
    return Fault{"`" + std::string(segment) + "`: a `*` stands for a whole segment", "write * alone, or ** at the end"};
}

std::optional<Fault> check_segment(std::string_view segment, bool is_last) {
    const std::string shown = "`" + std::string(segment) + "`";
    if (segment.empty() && !is_last) return Fault{"two slashes follow each other", "write one"};
    if (segment == "." || segment == "..") return Fault{"dot segments are refused", "no request with one is ever sent"};
    if (segment.find('{') != std::string_view::npos || segment.find('}') != std::string_view::npos) {
        return segment.starts_with('{')
                   ? check_capture(segment)
                   : Fault{shown + " is not a whole segment in braces", "as in /repos/{owner}/{repo}"};
    }
    if (segment.find('*') != std::string_view::npos) return check_stars(segment, is_last);
    if (!std::all_of(segment.begin(), segment.end(), is_path_character)) {
        return Fault{shown + " has a character that no path has", "write it percent-encoded"};
    }
    for (std::size_t at = segment.find('%'); at != std::string_view::npos; at = segment.find('%', at + 3)) {
        if (at + 2 >= segment.size() || hex_digit(segment[at + 1]) < 0 || hex_digit(segment[at + 2]) < 0) {
            return Fault{shown + " has a broken percent escape", "two hexadecimal digits follow a %"};
        }
    }
    if (segment.find('%') != std::string_view::npos && decode_segment(segment) == segment) {
        return Fault{shown + " hides a separator or control character", "no request with one is ever sent"};
    }
    return std::nullopt;
}

Fault method_fault(std::string_view method) {
    std::string upper(method);
    for (char& c : upper) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    if (upper != method && !upper.empty()) {
        return {"`" + std::string(method) + "` is not a method", "methods are written in upper case: " + upper};
    }
    return {"`" + std::string(method) + "` is not a method", "write METHOD /PATH, as in GET /simple/**"};
}

}  // namespace

Parsed<std::string> parse_path_template(std::string_view text) {
    if (!text.starts_with('/')) {
        return Fault{"`" + std::string(text) + "` does not begin with a slash", "a path begins with /"};
    }
    if (text.find('?') != std::string_view::npos || text.find('#') != std::string_view::npos) {
        return Fault{"`" + std::string(text) + "` has a query", "only paths are matched; leave out what follows the ?"};
    }
    Segments segments{text.substr(1)};
    for (std::size_t count = 0; segments.has_more; ++count) {
        if (count == kPathSegmentsMax) {
            return Fault{"more than " + std::to_string(kPathSegmentsMax) + " segments", {}};
        }
        const std::string_view segment = segments.next();
        if (const auto fault = check_segment(segment, !segments.has_more)) return *fault;
    }
    return std::string(text);
}

Parsed<RequestPattern> parse_request_pattern(std::string_view text) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos) {
        if (text.starts_with('/')) {
            return Fault{"`" + std::string(text) + "` has no method", "write GET " + std::string(text)};
        }
        return Fault{"`" + std::string(text) + "` is not a method and a path",
                     "write METHOD /PATH, as in GET /simple/**"};
    }
    const std::string_view method = text.substr(0, space);
    const bool is_word = std::all_of(method.begin(), method.end(), [](char c) { return is_upper(c) || c == '-'; });
    if (method != "*" && (method.empty() || !is_word)) return method_fault(method);
    Parsed<std::string> path = parse_path_template(text.substr(space + 1));
    if (const Fault* fault = std::get_if<Fault>(&path)) return *fault;
    return RequestPattern{std::string(method), std::get<std::string>(std::move(path))};
}

Parsed<std::string> parse_resource_pattern(std::string_view text) {
    Segments segments{text};
    while (segments.has_more) {
        const std::string_view segment = segments.next();
        if (segment.empty()) {
            return Fault{"`" + std::string(text) + "` has an empty segment",
                         "no slash at the beginning, the end, or twice"};
        }
        if (segment == "." || segment == "..") {
            return Fault{"`" + std::string(text) + "` has a dot segment", "remove it"};
        }
        if (segment.find('{') != std::string_view::npos) {
            return Fault{"`" + std::string(text) + "`: braces belong to templates", "write * for one segment"};
        }
        if (segment.find('*') == std::string_view::npos) continue;
        if (const auto fault = check_stars(segment, !segments.has_more)) return *fault;
    }
    return std::string(text);
}

bool covers_method(std::string_view pattern, std::string_view method) {
    return pattern == "*" || pattern == method || (pattern == "GET" && method == "HEAD");
}

bool covers_path(std::string_view pattern, std::string_view path, Reading reading) {
    if (!path.starts_with('/') || !pattern.starts_with('/')) return false;
    if (covers_segments(pattern.substr(1), path.substr(1), reading)) return true;
    return reading == Reading::Lenient &&
           covers_segments(without_last_slash(pattern), without_last_slash(path), reading);
}

bool covers(const RequestPattern& pattern, std::string_view method, std::string_view path, Reading reading) {
    return covers_method(pattern.method, method) && covers_path(pattern.path, path, reading);
}

bool covers_resource(std::string_view pattern, std::string_view value) {
    // A name with an empty segment is no name; `**` must not stand for it.
    const bool is_name = !value.empty() && !value.starts_with('/') && !value.ends_with('/') &&
                         value.find("//") == std::string_view::npos;
    return is_name && covers_segments(pattern, value, Reading::Exact);
}

bool covers_resource(const std::vector<std::string>& patterns, std::string_view value) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return covers_resource(pattern, value); });
}

bool can_overlap(std::string_view a, std::string_view b) {
    Segments left{a};
    Segments right{b};
    while (left.has_more && right.has_more) {
        const std::string_view x = left.next();
        const std::string_view y = right.next();
        if ((x == "**" && !left.has_more) || (y == "**" && !right.has_more)) return true;
        if (x != "*" && y != "*" && x != y) return false;
    }
    return !left.has_more && !right.has_more;
}

bool is_within(const RequestPattern& narrow, const RequestPattern& wide) {
    const bool is_method_within = narrow.method == "*" ? wide.method == "*" : covers_method(wide.method, narrow.method);
    return is_method_within && is_segments_within(narrow.path, wide.path);
}

bool is_resource_within(std::string_view narrow, std::string_view wide) { return is_segments_within(narrow, wide); }

bool may_overlap(const RequestPattern& a, const RequestPattern& b) {
    const bool is_any_method = a.method == "*" || b.method == "*";
    const bool may_share = is_any_method || covers_method(a.method, b.method) || covers_method(b.method, a.method);
    return may_share && (may_segments_overlap(a.path, b.path) ||
                         may_segments_overlap(without_last_slash(a.path), without_last_slash(b.path)));
}

std::string decode_segment(std::string_view segment) {
    std::string out;
    for (std::size_t i = 0; i < segment.size(); ++i) {
        if (segment[i] != '%') {
            out.push_back(segment[i]);
            continue;
        }
        if (i + 2 >= segment.size() || hex_digit(segment[i + 1]) < 0 || hex_digit(segment[i + 2]) < 0) {
            return std::string(segment);
        }
        const auto byte = static_cast<unsigned char>(hex_digit(segment[i + 1]) * 16 + hex_digit(segment[i + 2]));
        if (byte < 0x20U || byte == 0x7fU || byte == '/' || byte == '\\' || byte == '%') return std::string(segment);
        out.push_back(static_cast<char>(byte));
        i += 2;
    }
    return out == "." || out == ".." ? std::string(segment) : out;
}

}  // namespace sanctum::profiles
