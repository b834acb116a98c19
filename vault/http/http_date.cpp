// SPDX-License-Identifier: Apache-2.0
#include "vault/http/http_date.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <iterator>

namespace sanctum::vault {
namespace {

constexpr std::string_view kForm = "Www, 00 Mmm 0000 00:00:00 GMT";
constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool is_digit(char character) { return character >= '0' && character <= '9'; }

// Digits where the form has digits, letters where it has letters, everything else as it stands there.
bool has_form(std::string_view text) {
    return text.size() == kForm.size() && std::equal(text.begin(), text.end(), kForm.begin(), [](char is, char form) {
        if (form == '0') return is_digit(is);
        return is == form || form == 'W' || form == 'w' || form == 'M' || form == 'm';
    });
}

int number_at(std::string_view text, std::size_t place, std::size_t digits) {
    int number = 0;
    for (const char digit : text.substr(place, digits)) number = number * 10 + (digit - '0');
    return number;
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
    if (!has_form(text)) return std::nullopt;
    const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
    if (month == kMonths.end() || std::find(kDays.begin(), kDays.end(), text.substr(0, 3)) == kDays.end()) {
        return std::nullopt;
    }
    const std::chrono::year_month_day day{
        std::chrono::year(number_at(text, 12, 4)),
        std::chrono::month(static_cast<unsigned>(std::distance(kMonths.begin(), month)) + 1U),
        std::chrono::day(static_cast<unsigned>(number_at(text, 5, 2)))};
    const int hour = number_at(text, 17, 2);
    const int minute = number_at(text, 20, 2);
    const int second = number_at(text, 23, 2);  // 60: a leap second
    if (!day.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    const Milliseconds since = std::chrono::sys_days(day).time_since_epoch() + std::chrono::hours(hour) +
                               std::chrono::minutes(minute) + std::chrono::seconds(second);
    return WallTime{since.count()};
}

std::optional<WallTime> parse_utc_time(const std::string& text) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == nullptr || *end != '\0') return std::nullopt;
    return WallTime{std::int64_t{::timegm(&parts)} * 1000};
}

}  // namespace sanctum::vault
