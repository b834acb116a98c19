// SPDX-License-Identifier: Apache-2.0
// Times in a provider's answer: dates, and how long it asks us to wait. No crash, no overflow; a date lies in the four
// digits of its year, and a wait is none into the past. Each line of the input is the value of one field.
#include "vault/http/http_date.hpp"
#include "vault/http/retry.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace sanctum;
using namespace sanctum::vault;

constexpr std::int64_t kYear0 = -62'167'219'200'000;
constexpr std::int64_t kYear10000 = 253'402'300'800'000 + 1000;  // with a leap second
constexpr WallTime kNow{1'700'000'000'000};
constexpr std::array<const char*, 5> kFields = {"retry-after", "x-ratelimit-remaining", "x-ratelimit-reset",
                                                "ratelimit", "ratelimit-reset"};

void require(bool holds) {
    if (!holds) std::abort();
}

void read_date(std::string_view text) {
    for (const auto& date : {parse_http_date(text), parse_utc_time(text)}) {
        require(!date || (date->unix_ms >= kYear0 && date->unix_ms <= kYear10000));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    HttpResponse response;
    for (const char* name : kFields) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        read_date(line);
        if (!line.empty()) response.headers[name] = std::string(line);
    }
    for (const int status : {200, 403, 429, 503}) {
        response.status = status;
        const auto asked = wait_asked_for(response, kNow);
        require(!asked || *asked >= Milliseconds(0));
        const TriesSoFar so_far{Repeat::Safe, 1, Milliseconds(30'000), 999};
        const auto wait = wait_before_retry(TryEnd::Answered, &response, so_far, kNow);
        require(!wait || (*wait > Milliseconds(0) && *wait < so_far.left));
        require(!wait || says_later(response));
    }
    return 0;
}
