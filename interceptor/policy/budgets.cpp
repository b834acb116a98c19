// SPDX-License-Identifier: Apache-2.0
#include "interceptor/policy/budgets.hpp"

namespace sanctum::interceptor {

const profiles::Spent& Budgets::spent(BootTime now) {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const bool has_passed = lines_[i].window_ms > 0 && now.ms - since_[i].ms >= lines_[i].window_ms;
        if (has_passed) spent_[i] = shared_[i];
    }
    return spent_;
}

void Budgets::count(const std::vector<std::size_t>& lines, BootTime now) {
    for (const std::size_t line : lines) {
        // A window begins with the first exchange in it.
        if (spent_[line]++ == shared_[line]) since_[line] = now;
    }
}

void Budgets::give_back(const std::vector<std::size_t>& lines) {
    for (const std::size_t line : lines) {
        if (spent_[line] > shared_[line]) --spent_[line];
    }
}

std::uint64_t Budgets::left(std::size_t line, BootTime now) {
    const std::uint64_t used = spent(now)[line];
    return used >= lines_[line].limit ? 0 : lines_[line].limit - used;
}

std::optional<std::size_t> Budgets::share(const std::vector<std::uint64_t>& shares, BootTime now) {
    for (std::size_t i = 0; i < shares.size(); ++i) {
        if (shares[i] > left(i, now)) return i;
    }
    for (std::size_t i = 0; i < shares.size(); ++i) {
        spent_[i] += shares[i];
        shared_[i] += shares[i];
    }
    return std::nullopt;
}

}  // namespace sanctum::interceptor
