// SPDX-License-Identifier: Apache-2.0
// Patterns: `METHOD TEMPLATE` of rules and the patterns of resources. Matching is by whole segments; no regex.
#pragma once

#include "profiles/schema/mission.hpp"
#include "profiles/schema/values.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

/// Checks `METHOD TEMPLATE` as an author wrote it: one space, upper-case method or `*`, absolute path of literals,
/// `*`, `{name}`, a last `**`; no dot segments, no query.
[[nodiscard]] Parsed<RequestPattern> parse_request_pattern(std::string_view text);

/// The path part alone, for catalog entries.
[[nodiscard]] Parsed<std::string> parse_path_template(std::string_view text);

/// Checks a resource pattern: segments separated by `/`, each literal or `*`, a last `**`.
[[nodiscard]] Parsed<std::string> parse_resource_pattern(std::string_view text);

/// How a path is compared. Deny and ask read it as the most lenient server would, who ignores ASCII case and a slash at
/// the end: refusing more is the safe side of not knowing.
enum class Reading : std::uint8_t { Exact, Lenient };

/// True when the pattern's method covers `method`: equal, `*`, or GET for HEAD (a HEAD reads no more than its GET).
[[nodiscard]] bool covers_method(std::string_view pattern, std::string_view method);

/// Segment by segment; `*` and `{name}` stand for one segment that is not empty, a last `**` for one or more segments.
[[nodiscard]] bool covers_path(std::string_view pattern, std::string_view path, Reading reading);

[[nodiscard]] bool covers(const RequestPattern& pattern, std::string_view method, std::string_view path,
                          Reading reading);

/// The same for a resource's value; an empty value, or one with an empty segment, is covered by nothing.
[[nodiscard]] bool covers_resource(std::string_view pattern, std::string_view value);
[[nodiscard]] bool covers_resource(const std::vector<std::string>& patterns, std::string_view value);

/// True when some value is covered by both patterns.
[[nodiscard]] bool can_overlap(std::string_view a, std::string_view b);

/// True when everything that `narrow` covers is covered by `wide` as well, letters compared exactly.
[[nodiscard]] bool is_within(const RequestPattern& narrow, const RequestPattern& wide);
/// The same for patterns of resources.
[[nodiscard]] bool is_resource_within(std::string_view narrow, std::string_view wide);

/// True when some request may be covered by both, read leniently.
[[nodiscard]] bool may_overlap(const RequestPattern& a, const RequestPattern& b);

/// A segment with its percent escapes taken away, so that `%40x` and `@x` are the same. Left as it is when the
/// result would hold a separator, a control character or a percent sign.
[[nodiscard]] std::string decode_segment(std::string_view segment);

}  // namespace sanctum::profiles
