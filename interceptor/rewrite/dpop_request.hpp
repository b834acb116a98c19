// SPDX-License-Identifier: Apache-2.0
// A request with a token that is bound to a key (RFC 9449 7): the token, and a proof for this one request, made with
// the lease's key. What the agent brought of either was taken off before the decision.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "interceptor/http/message.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace sanctum::interceptor {

struct HeldLease;

/// What is put on the head.
struct DpopFields {
    Secret fields;      ///< `name: value\r\n` of both
    std::string proof;  ///< the value of `dpop`
};

/// `origin`: scheme, host, and the port where it is not the scheme's own. `nonce`: the server's last; empty: none is
/// known. Precondition: check_lease() was fine. Errors: Internal.
[[nodiscard]] Result<DpopFields> prove_request(const RequestHead& head, const HeldLease& lease,
                                               const std::string& origin, const std::string& nonce, WallTime now);

/// What servers want to see in the next proof (RFC 9449 9), by origin; no secret. At most kDpopNoncesMax.
class DpopNonces {
public:
    /// Empty: nothing is known.
    [[nodiscard]] std::string of(const std::string& origin) const;
    /// False where the answer brings no nonce, or the one that we have.
    bool learn(const std::string& origin, const ResponseHead& answer);

private:
    std::map<std::string, std::string> nonces_;
};

/// A 401 that says that the proof, and nothing else, was refused for its nonce: nothing was done.
[[nodiscard]] bool wants_nonce(const ResponseHead& answer);

}  // namespace sanctum::interceptor
