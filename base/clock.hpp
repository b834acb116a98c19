// SPDX-License-Identifier: Apache-2.0
// Clock: the two times Sanctum knows, as an argument wherever time decides, so that tests turn it by hand.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace sanctum {

using Milliseconds = std::chrono::milliseconds;

/// Wall time in Unix milliseconds (for records and provider expiries).
struct WallTime {
    std::int64_t unix_ms = 0;
    auto operator<=>(const WallTime&) const = default;
};

/// CLOCK_BOOTTIME in milliseconds: monotonic, counts suspend. All deadlines use this one.
struct BootTime {
    std::int64_t ms = 0;
    auto operator<=>(const BootTime&) const = default;
    [[nodiscard]] BootTime plus(Milliseconds delta) const { return {ms + delta.count()}; }
};

/// Source of both times; see clock_gettime(2).
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual WallTime wall() const = 0;
    [[nodiscard]] virtual BootTime boot() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
public:
    [[nodiscard]] WallTime wall() const override;
    [[nodiscard]] BootTime boot() const override;
};

/// A clock that stands still until told otherwise; for tests.
class ManualClock final : public Clock {
public:
    explicit ManualClock(WallTime wall = {1'795'313'172'001}, BootTime boot = {1000})
        : wall_ms_(wall.unix_ms), boot_ms_(boot.ms) {}
    [[nodiscard]] WallTime wall() const override { return {wall_ms_}; }
    [[nodiscard]] BootTime boot() const override { return {boot_ms_}; }
    void advance(Milliseconds delta) {
        wall_ms_ += delta.count();
        boot_ms_ += delta.count();
    }
    /// Somebody sets the wall clock; no time passes.
    void set_wall(WallTime wall) { wall_ms_ = wall.unix_ms; }

private:
    std::atomic<std::int64_t> wall_ms_;  // the ledger's thread looks, too
    std::atomic<std::int64_t> boot_ms_;
};

/// RFC 3339 in UTC with milliseconds: `2026-11-22T02:06:12.001Z`.
[[nodiscard]] std::string format_rfc3339(WallTime time);

}  // namespace sanctum
