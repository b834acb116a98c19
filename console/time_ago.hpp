// SPDX-License-Identifier: Apache-2.0
// Options that mean a time before now, such as `--since 7d`.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum::console {

/// `12h`, `7d` → milliseconds, at most the time since 1970. Errors: InvalidProfile, naming `option`.
[[nodiscard]] Result<std::int64_t> parse_age(std::string_view option, std::string_view text, WallTime now);

/// The moment that was so long ago, as ledgers and receipts write it: such texts order like their times.
[[nodiscard]] std::string moment_before(WallTime now, std::int64_t age_ms);

}  // namespace sanctum::console
