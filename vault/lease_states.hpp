// SPDX-License-Identifier: Apache-2.0
// Lease states: what a lease can be and how it gets from one to the next. The one place that says so, for the vault
// and for the reaper of a vault that died. Pure.
//
//     wanted → held → retiring → gone | expired | parked → gone | expired
//            ↘ failed | gone   ↘ orphaned → expired
//
// Nothing leads back: a credential is never renewed under the same lease; what replaces it is a lease of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sanctum::vault {

/// How far a lease is. `Orphaned`: something may have been made whose answer nobody has; counted until it must be dead.
/// `Failed`: the source said no; there never was a credential.
enum class LeaseState : std::uint8_t { Wanted, Held, Retiring, Gone, Expired, Parked, Orphaned, Failed };
/// `wanted | held | retiring | gone | expired | parked | orphaned | failed`.
[[nodiscard]] std::string_view name_of(LeaseState value);
[[nodiscard]] bool parse_name(std::string_view name, LeaseState& value);
/// True for a state that stands in the ledger as a lease's end.
[[nodiscard]] bool is_end(LeaseState value);
/// True for an end after which the credential may be good all the same.
[[nodiscard]] bool may_be_alive(LeaseState value);

/// What happens to a lease.
enum class LeaseEvent : std::uint8_t {
    Issued,       ///< the source gave a credential
    Refused,      ///< the source said no: nothing was made
    NothingMade,  ///< given up, and its source makes nothing outside
    AnswerLost,   ///< something may have been made that nobody here knows
    Ending,       ///< giving back begins
    GivenBack,    ///< confirmed, or there is nothing outside that knew of us
    StaysAlive,   ///< it cannot be taken back, or nobody confirmed that it was
    TimePassed,   ///< the longest that it can live is over
};

/// The state after `event`, or nothing where `event` cannot happen to a lease that is `from`.
[[nodiscard]] std::optional<LeaseState> next_state(LeaseState from, LeaseEvent event);
/// Takes the step. An event that cannot happen is a broken invariant.
void advance(LeaseState& state, LeaseEvent event);

}  // namespace sanctum::vault
