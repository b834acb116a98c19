// SPDX-License-Identifier: Apache-2.0
#include "vault/http/http_date.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>

namespace sanctum::vault {
namespace {

constexpr std::string_view kForm = "Www, 00 Mmm 0000 00:00:00 GMT";
constexpr std::string_view kUtcForm = "0000-00-00T00:00:00";
constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool is_digit(char character) { return character >= '0' && character <= '9'; }

// Digits where the form has digits, letters where it has letters, everything else as it stands there.
bool has_form(std::string_view text, std::string_view wanted) {
    return text.size() == wanted.size() && std::equal(text.begin(), text.end(), wanted.begin(), [](char is, char form) {
        if (form == '0') return is_digit(is);
        return is == form || form == 'W' || form == 'w' || form == 'M' || form == 'm';
    });
}

int number_at(std::string_view text, std::size_t place, std::size_t digits) {
    int number = 0;
    for (const char digit : text.substr(place, digits)) number = number * 10 + (digit - '0');
    return number;
}

// `hh:mm:ss` at `place` of the day.
std::optional<WallTime> time_on(std::chrono::year_month_day day, std::string_view text, std::size_t place) {
    const int hour = number_at(text, place, 2);
    const int minute = number_at(text, place + 3, 2);
    const int second = number_at(text, place + 6, 2);  // 60: a leap second
    if (!day.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    const Milliseconds since = std::chrono::sys_days(day).time_since_epoch() + std::chrono::hours(hour) +
                               std::chrono::minutes(minute) + std::chrono::seconds(second);
    return WallTime{since.count()};
}

}  // namespace

std::optional<WallTime> parse_utc_time(std::string_view text) {
    const std::string_view whole = text.substr(0, kUtcForm.size());
    std::string_view rest = text.substr(whole.size());
    if (rest.starts_with('.')) {
        const std::size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
        rest.remove_prefix(end > 1 ? end : 0);
    }
    if (!has_form(whole, kUtcForm) || rest != "Z") return std::nullopt;
    const std::chrono::year_month_day day{std::chrono::year(number_at(whole, 0, 4)),
                                          std::chrono::month(static_cast<unsigned>(number_at(whole, 5, 2))),
                                          std::chrono::day(static_cast<unsigned>(number_at(whole, 8, 2)))};
    return time_on(day, whole, 11);
}

std::optional<WallTime> parse_http_date(std::string_view text) {
    if (!has_form(text, kForm)) return std::nullopt;
    const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
    if (month == kMonths.end() || std::find(kDays.begin(), kDays.end(), text.substr(0, 3)) == kDays.end()) {
        return std::nullopt;
    }
    const std::chrono::year_month_day day{
        std::chrono::year(number_at(text, 12, 4)),
        std::chrono::month(static_cast<unsigned>(std::distance(kMonths.begin(), month)) + 1U),
        std::chrono::day(static_cast<unsigned>(number_at(text, 5, 2)))};
    return time_on(day, text, 17);
}

}  // namespace sanctum::vault
