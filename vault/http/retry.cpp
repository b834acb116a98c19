// SPDX-License-Identifier: Apache-2.0
#include "vault/http/retry.hpp"

#include "base/limits.hpp"
#include "vault/http/http_date.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace sanctum::vault {
namespace {

// Smaller numbers in a reset field are seconds from now: as seconds since 1970 they would lie before 2001.
constexpr std::int64_t kEpochSecondsMin = 1'000'000'000;
// Larger ones are no time that anybody waits for.
constexpr std::int64_t kSecondsMax = 100'000'000'000;

std::optional<std::int64_t> parse_seconds(std::string_view text) {
    std::int64_t seconds = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (problem != std::errc{} || end != text.data() + text.size() || text.front() == '-') return std::nullopt;
    return std::min(seconds, kSecondsMax);
}

Milliseconds until(WallTime then, WallTime provider_now) {
    return Milliseconds(std::max<std::int64_t>(0, then.unix_ms - provider_now.unix_ms));
}

bool is_used_up(const HttpResponse& response) {
    return response.header("x-ratelimit-remaining") == "0" || response.header("ratelimit-remaining") == "0";
}

// GitHub's and Auth0's header, that of the first drafts of a standard, and the field of the later ones (`t=`,
// draft-ietf-httpapi-ratelimit-headers 4.2).
std::optional<std::int64_t> reset_of(const HttpResponse& response) {
    for (const std::string_view name : {"x-ratelimit-reset", "ratelimit-reset"}) {
        if (const std::string_view text = response.header(name); !text.empty()) return parse_seconds(text);
    }
    const std::string_view field = response.header("ratelimit");
    const std::size_t begin = field.find(";t=");
    if (begin == std::string_view::npos) return std::nullopt;
    const std::string_view rest = field.substr(begin + 3);
    const std::string_view digits = rest.substr(0, rest.find_first_not_of("0123456789"));
    return digits.empty() ? std::nullopt : parse_seconds(digits);
}

// Doubles from try to try; between half of it and all of it, so that clients that failed together come back apart.
Milliseconds growing_wait(const TriesSoFar& so_far) {
    const Milliseconds longest = kProviderRetryWait * (1 << (so_far.tries - 1));
    return longest / 2 + longest * (so_far.random % 1000) / 2000;
}

bool may_repeat(TryEnd end, const HttpResponse* response, Repeat repeat) {
    switch (end) {
        case TryEnd::NotReached: return true;
        case TryEnd::Lost: return repeat == Repeat::Safe;
        case TryEnd::Answered: return repeat == Repeat::Safe && says_later(*response);
        case TryEnd::Refused:
        case TryEnd::NotTrusted:
        case TryEnd::NotShown:
        case TryEnd::Malformed: return false;
    }
    return false;
}

}  // namespace

std::optional<Milliseconds> wait_asked_for(const HttpResponse& response, WallTime now) {
    const WallTime provider_now{now.unix_ms + response.clock_offset.count()};
    if (const std::string_view after = response.header("retry-after"); !after.empty()) {
        if (const auto seconds = parse_seconds(after)) return Milliseconds(*seconds * 1000);
        if (const auto date = parse_http_date(after)) return until(*date, provider_now);
    }
    if (response.status != 429 && !is_used_up(response)) return std::nullopt;
    const auto seconds = reset_of(response);
    if (!seconds) return std::nullopt;
    if (*seconds < kEpochSecondsMin) return Milliseconds(*seconds * 1000);
    return until(WallTime{*seconds * 1000}, provider_now);
}

bool says_later(const HttpResponse& response) {
    if (response.status == 429 || response.status >= 500) return true;
    return response.status == 403 && (is_used_up(response) || !response.header("retry-after").empty());
}

std::optional<Milliseconds> wait_before_retry(TryEnd end, const HttpResponse* response, const TriesSoFar& so_far,
                                              WallTime now) {
    if (so_far.tries >= kProviderTriesMax || !may_repeat(end, response, so_far.repeat)) return std::nullopt;
    Milliseconds wait = growing_wait(so_far);
    if (response != nullptr) {
        // The jitter comes on top: never before the time that was asked for, and not all at that moment.
        if (const auto asked = wait_asked_for(*response, now)) wait += *asked;
    }
    if (wait >= so_far.left) return std::nullopt;
    return wait;
}

}  // namespace sanctum::vault
