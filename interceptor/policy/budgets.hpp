// SPDX-License-Identifier: Apache-2.0
// Budgets: how often each budget line of the mission has been used, per window of the boot clock or per mission.
#pragma once

#include "base/clock.hpp"
#include "profiles/policy/decide.hpp"

#include <cstddef>
#include <vector>

namespace sanctum::interceptor {

/// Counters of one mission, shared by all of its connections.
class Budgets {
public:
    /// `lines` is borrowed: Mission::budgets, which outlives this.
    explicit Budgets(const std::vector<profiles::Budget>& lines)
        : lines_(lines), spent_(lines.size()), since_(lines.size()) {}

    /// What decide() is shown at this time; windows that have passed start anew.
    [[nodiscard]] const profiles::Spent& spent(BootTime now);
    /// Counts an allowed exchange under these lines, in the same step in which it was decided.
    void count(const std::vector<std::size_t>& lines, BootTime now);
    /// Takes a count back: the exchange was refused later and nothing was sent.
    void give_back(const std::vector<std::size_t>& lines);

private:
    const std::vector<profiles::Budget>& lines_;
    profiles::Spent spent_;
    std::vector<BootTime> since_;  ///< begin of the current window
};

}  // namespace sanctum::interceptor
