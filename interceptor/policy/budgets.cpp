// SPDX-License-Identifier: Apache-2.0
#include "interceptor/policy/budgets.hpp"

namespace sanctum::interceptor {

const profiles::Spent& Budgets::spent(BootTime now) {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const bool has_passed = lines_[i].window_ms > 0 && now.ms - since_[i].ms >= lines_[i].window_ms;
        if (has_passed) spent_[i] = 0;
    }
    return spent_;
}

void Budgets::count(const std::vector<std::size_t>& lines, BootTime now) {
    for (const std::size_t line : lines) {
        // A window begins with the first exchange in it.
        if (spent_[line]++ == 0) since_[line] = now;
    }
}

void Budgets::give_back(const std::vector<std::size_t>& lines) {
    for (const std::size_t line : lines) {
        if (spent_[line] > 0) --spent_[line];
    }
}

}  // namespace sanctum::interceptor
