// SPDX-License-Identifier: Apache-2.0
// Keeps a flood of refusals from filling the ledger, with exact numbers: in each second the first
// kLedgerRefusalsSinglePerSecond are written as they are, equal ones after that are counted in one record.
#pragma once

#include "base/clock.hpp"
#include "ledger/record_lines.hpp"

#include <map>
#include <string>
#include <vector>

namespace sanctum::ledger {

/// Not thread-safe; lives in the ledger thread.
class RefusalCounter {
public:
    /// True: write `record` now. False: it was counted, take() will give it. Only refusals that precede an intent are
    /// ever counted; every other record is written.
    [[nodiscard]] bool is_single(const LineRecord& record, BootTime at);
    [[nodiscard]] bool is_empty() const { return counted_.empty(); }
    /// True when a second has passed since the counting began: take() and write, before anything else.
    [[nodiscard]] bool is_due(BootTime now) const { return !is_empty() && second_of(now) != second_; }
    /// What was counted, and begins anew.
    [[nodiscard]] std::vector<LineRecord> take();

private:
    static std::int64_t second_of(BootTime at) { return at.ms / 1000; }
    void count(const Refusals& record);
    void count(const RefusedConnections& record);

    std::map<std::string, LineRecord> counted_;
    std::int64_t second_ = 0;
    std::uint64_t singles_ = 0;
};

}  // namespace sanctum::ledger
