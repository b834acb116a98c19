// SPDX-License-Identifier: Apache-2.0
// Whether a request is sent again after a try, and when. Pure: a table of how tries end.
#pragma once

#include "base/clock.hpp"
#include "vault/http/http_client.hpp"

#include <cstdint>
#include <optional>

namespace sanctum::vault {

/// How one try ended.
enum class TryEnd : std::uint8_t {
    Refused,     ///< by us: an address that is forbidden, a request that cannot be sent; nothing was sent
    NotTrusted,  ///< the server's certificate is not valid; nothing was sent
    NotShown,    ///< the server did not ask for our certificate; nothing was sent
    NotReached,  ///< no connection; nothing was sent
    Lost,        ///< sent, and no whole answer came
    Malformed,   ///< an answer that is none, or one that is too long
    Answered,    ///< a whole answer, of whatever status
};

/// What is known when a try has ended.
struct TriesSoFar {
    Repeat repeat = Repeat::Never;
    int tries = 1;             ///< how many there were
    Milliseconds left{0};      ///< until the request's deadline
    unsigned random = 0;       ///< any number, for the jitter
};

/// How long the provider asked us to wait: `Retry-After` in seconds or as a date (RFC 9110 10.2.3), or
/// `X-RateLimit-Reset` where nothing remains, in seconds since 1970 (Auth0, GitHub) or, if small, from now. Dates are
/// judged by the provider's own clock. nullopt: it said nothing that can be read.
[[nodiscard]] std::optional<Milliseconds> wait_asked_for(const HttpResponse& response, WallTime now);

/// "Later": 429, 5xx, and the 403 by which GitHub says that a rate limit is used up.
[[nodiscard]] bool says_later(const HttpResponse& response);

/// How long to wait before the next try; nullopt: what came is final. `response`: null unless Answered. Never waits
/// less than the provider asked for: a wait that does not fit into the deadline makes its answer final.
[[nodiscard]] std::optional<Milliseconds> wait_before_retry(TryEnd end, const HttpResponse* response,
                                                            const TriesSoFar& so_far, WallTime now);

}  // namespace sanctum::vault
