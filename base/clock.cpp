// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace sanctum {
namespace {

std::int64_t read_clock_ms(clockid_t id) {
    timespec now{};
    ::clock_gettime(id, &now);
    return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

WallTime SystemClock::wall() const { return {read_clock_ms(CLOCK_REALTIME)}; }
BootTime SystemClock::boot() const { return {read_clock_ms(CLOCK_BOOTTIME)}; }

std::string format_rfc3339(WallTime time) {
    const auto seconds = static_cast<std::time_t>(time.unix_ms / 1000);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    std::array<char, 64> text{};
    const std::size_t date = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    const int tail = std::snprintf(text.data() + date, text.size() - date, ".%03dZ",
                                   static_cast<int>(time.unix_ms % 1000));
    return std::string(text.data(), date + static_cast<std::size_t>(tail));
}

}  // namespace sanctum
