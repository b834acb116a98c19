// SPDX-License-Identifier: Apache-2.0
// Identifiers: lower-case ULIDs (48 bits of time, 80 random bits, Crockford base 32).
#pragma once

#include "base/clock.hpp"

#include <string>
#include <string_view>

namespace sanctum {

/// A new lower-case ULID, 26 characters.
[[nodiscard]] std::string make_ulid(WallTime now);

/// True for 26 characters of the lower-case Crockford alphabet; safe to use as a file name.
[[nodiscard]] bool is_ulid(std::string_view text);

}  // namespace sanctum
