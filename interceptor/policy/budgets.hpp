// SPDX-License-Identifier: Apache-2.0
// Budgets: how often each budget line of the mission has been used, per window of the boot clock or per mission.
#pragma once

#include "base/clock.hpp"
#include "profiles/policy/decide.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sanctum::interceptor {

/// Counters of one mission, shared by all of its connections.
class Budgets {
public:
    /// `lines` is borrowed: Mission::budgets, which outlives this.
    explicit Budgets(const std::vector<profiles::Budget>& lines)
        : lines_(lines), spent_(lines.size()), shared_(lines.size()), since_(lines.size()) {}

    /// What decide() is shown at this time; windows that have passed start anew.
    [[nodiscard]] const profiles::Spent& spent(BootTime now);
    /// Counts an allowed exchange under these lines, in the same step in which it was decided.
    void count(const std::vector<std::size_t>& lines, BootTime now);
    /// Takes a count back: the exchange was refused later and nothing was sent.
    void give_back(const std::vector<std::size_t>& lines);
    /// Takes `shares` off what is left, all or nothing, for good: for a line with a window in each of them.
    /// Returns the first line that has less left, nullopt when all was taken. `shares` is as long as the lines are.
    [[nodiscard]] std::optional<std::size_t> share(const std::vector<std::uint64_t>& shares, BootTime now);
    /// What is left of a line at this time, shares taken off.
    [[nodiscard]] std::uint64_t left(std::size_t line, BootTime now);

private:
    const std::vector<profiles::Budget>& lines_;
    profiles::Spent spent_;            ///< with what was shared: what decide() compares with the limit
    std::vector<std::uint64_t> shared_;
    std::vector<BootTime> since_;  ///< begin of the current window
};

}  // namespace sanctum::interceptor
