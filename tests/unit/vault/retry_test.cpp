// SPDX-License-Identifier: Apache-2.0
// When a request is sent again and how long that waits, as a table; and the dates that it depends on.
#include "vault/http/retry.hpp"

#include "base/limits.hpp"
#include "vault/http/http_date.hpp"

#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

constexpr WallTime kNow{1'795'313'172'000};  // Sun, 22 Nov 2026 02:06:12 GMT

HttpResponse answer(int status, std::map<std::string, std::string> headers = {}) {
    HttpResponse response;
    response.status = status;
    response.headers = std::move(headers);
    return response;
}

TEST(Retry, OnlyWhatCannotDoHarmIsSentAgain) {
    struct Row {
        const char* name;
        TryEnd end;
        Repeat repeat;
        bool is_sent_again;
    };
    const Row rows[] = {
        {"refused", TryEnd::Refused, Repeat::Safe, false},
        {"not trusted", TryEnd::NotTrusted, Repeat::Safe, false},
        {"not asked for our certificate", TryEnd::NotShown, Repeat::Safe, false},
        {"malformed", TryEnd::Malformed, Repeat::Safe, false},
        {"not reached, safe", TryEnd::NotReached, Repeat::Safe, true},
        {"not reached, never: nothing was sent", TryEnd::NotReached, Repeat::Never, true},
        {"lost, safe", TryEnd::Lost, Repeat::Safe, true},
        {"lost, never: it may have been made", TryEnd::Lost, Repeat::Never, false},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        const auto wait = wait_before_retry(row.end, nullptr, {row.repeat, 1, seconds(20), 0}, kNow);
        EXPECT_EQ(wait.has_value(), row.is_sent_again);
    }
}

TEST(Retry, OnlyAnAnswerThatSaysLaterIsAskedForAgain) {
    struct Row {
        int status;
        std::map<std::string, std::string> headers;
        bool says_later;
    };
    const Row rows[] = {
        {200, {}, false},
        {200, {{"x-ratelimit-remaining", "0"}}, false},
        {302, {}, false},
        {400, {{"retry-after", "5"}}, false},
        {401, {}, false},
        {403, {}, false},
        {403, {{"x-ratelimit-remaining", "12"}}, false},
        {403, {{"x-ratelimit-remaining", "0"}}, true},
        {403, {{"retry-after", "5"}}, true},
        {429, {}, true},
        {500, {}, true},
        {503, {}, true},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.status);
        const HttpResponse response = answer(row.status, row.headers);
        const auto safe = wait_before_retry(TryEnd::Answered, &response, {Repeat::Safe, 1, seconds(20), 0}, kNow);
        const auto never = wait_before_retry(TryEnd::Answered, &response, {Repeat::Never, 1, seconds(20), 0}, kNow);
        EXPECT_EQ(says_later(response), row.says_later);
        EXPECT_EQ(safe.has_value(), row.says_later);
        EXPECT_FALSE(never.has_value());
    }
}

TEST(Retry, TheWaitIsTheOneThatTheProviderAskedFor) {
    struct Row {
        const char* name;
        int status;
        std::map<std::string, std::string> headers;
        std::optional<Milliseconds> asked;
        Milliseconds clock_offset{0};
    };
    const Row rows[] = {
        {"nothing said", 429, {}, std::nullopt},
        {"seconds", 429, {{"retry-after", "7"}}, seconds(7)},
        {"at once", 503, {{"retry-after", "0"}}, seconds(0)},
        {"a date", 503, {{"retry-after", "Sun, 22 Nov 2026 02:06:21 GMT"}}, seconds(9)},
        {"a date that is over", 503, {{"retry-after", "Sun, 22 Nov 2026 02:06:02 GMT"}}, seconds(0)},
        {"a date, our clock late", 503, {{"retry-after", "Sun, 22 Nov 2026 02:07:51 GMT"}}, seconds(9), seconds(90)},
        {"no number", 429, {{"retry-after", "soon"}}, std::nullopt},
        {"a negative number", 429, {{"retry-after", "-5"}}, std::nullopt},
        {"a fraction", 429, {{"retry-after", "1.5"}}, std::nullopt},
        {"a number without end", 429, {{"retry-after", "99999999999999999999999"}}, std::nullopt},
        {"reset, seconds since 1970", 429, {{"x-ratelimit-reset", "1795313177"}}, seconds(5)},
        {"reset, our clock early", 429, {{"x-ratelimit-reset", "1795313177"}}, seconds(95), seconds(-90)},
        {"reset, seconds from now", 429, {{"x-ratelimit-reset", "4"}}, seconds(4)},
        {"reset of a limit that is not used up", 503,
         {{"x-ratelimit-remaining", "3"}, {"x-ratelimit-reset", "1795313177"}}, std::nullopt},
        {"GitHub's 403", 403, {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "1795313175"}}, seconds(3)},
        {"a draft's reset", 429, {{"ratelimit-remaining", "0"}, {"ratelimit-reset", "6"}}, seconds(6)},
        {"a draft's field", 429, {{"ratelimit", "\"default\";r=0;t=8"}}, seconds(8)},
        {"a draft's field, of several", 429, {{"ratelimit", "\"a\";r=0;t=8, \"b\";r=1;t=90"}}, seconds(8)},
        {"a draft's field without a time", 429, {{"ratelimit", "\"default\";r=0;t="}}, std::nullopt},
        {"a draft's field of a limit that is not used up", 503, {{"ratelimit", "\"default\";r=3;t=8"}}, std::nullopt},
        {"both: the one made for it", 429, {{"retry-after", "2"}, {"x-ratelimit-reset", "1795313177"}}, seconds(2)},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        HttpResponse response = answer(row.status, row.headers);
        response.clock_offset = row.clock_offset;
        EXPECT_EQ(wait_asked_for(response, kNow), row.asked);
        if (!row.asked) continue;
        const auto wait = wait_before_retry(TryEnd::Answered, &response, {Repeat::Safe, 1, minutes(10), 0}, kNow);
        ASSERT_TRUE(wait.has_value());
        EXPECT_GE(*wait, *row.asked);
        EXPECT_LE(*wait, *row.asked + kProviderRetryWait);
    }
}

TEST(Retry, AWaitThatDoesNotFitIntoTheDeadlineMakesTheAnswerFinal) {
    const HttpResponse response = answer(429, {{"retry-after", "30"}});

    EXPECT_FALSE(wait_before_retry(TryEnd::Answered, &response, {Repeat::Safe, 1, seconds(20), 0}, kNow).has_value());
    EXPECT_TRUE(wait_before_retry(TryEnd::Answered, &response, {Repeat::Safe, 1, seconds(40), 0}, kNow).has_value());
}

TEST(Retry, WaitsGrowAndDifferAndTriesHaveAnEnd) {
    const auto wait = [](int tries, unsigned random) {
        return wait_before_retry(TryEnd::Lost, nullptr, {Repeat::Safe, tries, seconds(20), random}, kNow);
    };
    EXPECT_GT(*wait(2, 0), *wait(1, 0));
    EXPECT_NE(*wait(1, 0), *wait(1, 500));
    EXPECT_LE(*wait(1, 999), kProviderRetryWait);
    EXPECT_GE(*wait(1, 0), kProviderRetryWait / 2);
    EXPECT_FALSE(wait(kProviderTriesMax, 0).has_value());
}

TEST(HttpDate, TheFormOfTodayIsRead) {
    EXPECT_EQ(parse_http_date("Sun, 22 Nov 2026 02:06:12 GMT"), kNow);
    EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), WallTime{0});
    EXPECT_TRUE(parse_http_date("Tue, 29 Feb 2028 23:59:60 GMT").has_value());
}

TEST(HttpDate, WhatIsNoDateIsNone) {
    for (const char* text : {"", "now", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                             "Sun, 22 Nov 2026 02:06:12 CET", "Sun, 32 Nov 2026 02:06:12 GMT",
                             "Sun, 29 Feb 2027 02:06:12 GMT", "Sun, 22 Nov 2026 24:06:12 GMT",
                             "Abc, 22 Nov 2026 02:06:12 GMT", "Sun, 22 Abc 2026 02:06:12 GMT",
                             "Sun, 22 Nov 2026 02:06:12 GMT "}) {
        EXPECT_FALSE(parse_http_date(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace sanctum::vault
