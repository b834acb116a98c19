// SPDX-License-Identifier: Apache-2.0
#include "vault/http/provider_clock.hpp"

#include "base/limits.hpp"

#include <cstdlib>

namespace sanctum::vault {
namespace {

bool is_skew(Milliseconds offset) { return std::abs(offset.count()) > Milliseconds(kClockSkewAllowed).count(); }

}  // namespace

bool ProviderClock::learn(const HttpResponse& response) {
    if (!is_skew(response.clock_offset - offset_)) return false;
    offset_ = is_skew(response.clock_offset) ? response.clock_offset : Milliseconds(0);
    return true;
}

WallTime by_our_clock(WallTime told, const HttpResponse& response) {
    return is_skew(response.clock_offset) ? WallTime{told.unix_ms - response.clock_offset.count()} : told;
}

std::string ProviderClock::remark(const std::string& provider) const {
    if (offset_.count() == 0) return {};
    const std::int64_t ahead = -offset_.count() / 1000;
    return "this machine's clock was " + std::to_string(std::abs(ahead)) + " s " + (ahead > 0 ? "ahead of" : "behind") +
           " that of " + provider + ", and was corrected for";
}

}  // namespace sanctum::vault
