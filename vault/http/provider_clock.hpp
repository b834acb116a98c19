// SPDX-License-Identifier: Apache-2.0
// ProviderClock: a provider's time, as far as its `Date` headers told it (RFC 9110 6.6.1). What is signed for a
// provider carries its time, and what it says in absolute times is taken for ours, so that a machine whose clock is
// wrong, or was set while a mission runs, neither fails nor forgets.
#pragma once

#include "base/clock.hpp"
#include "vault/http/http_client.hpp"

#include <string>

namespace sanctum::vault {

/// Single thread; `clock` must outlive it.
class ProviderClock {
public:
    explicit ProviderClock(const Clock& clock) : clock_(clock) {}

    /// Learns from an answer. True when what was assumed before is wrong by more than kClockSkewAllowed.
    bool learn(const HttpResponse& response);
    /// The provider's time.
    [[nodiscard]] WallTime now() const { return {clock_.wall().unix_ms + offset_.count()}; }
    /// A time that the provider told, by our clock.
    [[nodiscard]] WallTime by_our_clock(WallTime told) const { return {told.unix_ms - offset_.count()}; }
    /// Theirs minus ours while they differ by more than kClockSkewAllowed, else 0.
    [[nodiscard]] Milliseconds offset() const { return offset_; }
    /// One sentence for the record while the two differ, else empty. `provider`: whose clock it is.
    [[nodiscard]] std::string remark(const std::string& provider) const;

private:
    const Clock& clock_;
    Milliseconds offset_{0};  ///< theirs minus ours; 0 while they differ by no more than providers let pass
};

/// A time that the provider told in `response`, by our clock.
[[nodiscard]] WallTime by_our_clock(WallTime told, const HttpResponse& response);

}  // namespace sanctum::vault
