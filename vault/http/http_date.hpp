// SPDX-License-Identifier: Apache-2.0
// Dates in HTTP fields and in providers' JSON. Pure.
#pragma once

#include "base/clock.hpp"

#include <optional>
#include <string_view>

namespace sanctum::vault {

/// `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110 5.6.7). nullopt for anything else: the two obsolete forms
/// are written by no provider, and a date that cannot be read counts as none.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

/// `2026-11-25T21:00:00Z`, perhaps with a fraction of the second, which is left out (RFC 3339 in UTC, as GitHub and AWS
/// write it). nullopt for anything else.
[[nodiscard]] std::optional<WallTime> parse_utc_time(std::string_view text);

}  // namespace sanctum::vault
