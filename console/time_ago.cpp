// SPDX-License-Identifier: Apache-2.0
#include "console/time_ago.hpp"

#include "ledger/printable.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>
#include <variant>

namespace sanctum::console {

Result<std::int64_t> parse_age(std::string_view option, std::string_view text, WallTime now) {
    const profiles::Parsed<std::int64_t> parsed = profiles::parse_duration(text);
    if (const auto* ms = std::get_if<std::int64_t>(&parsed); ms != nullptr && *ms >= 0) {
        return std::min(*ms, now.unix_ms);
    }
    return Error{Errc::InvalidProfile,
                 std::string(option) + " '" + ledger::printable(text) + "' is not a time like 12h or 400d"};
}

std::string moment_before(WallTime now, std::int64_t age_ms) { return format_rfc3339(WallTime{now.unix_ms - age_ms}); }

}  // namespace sanctum::console
