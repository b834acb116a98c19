// SPDX-License-Identifier: Apache-2.0
// inject: puts the leased credential on a request that has been decided, recorded and encoded without it. The one
// place where a secret becomes part of bytes that leave.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "interceptor/http/message.hpp"
#include "interceptor/services.hpp"

namespace sanctum::interceptor {

/// Checks that the lease can be put on as the endpoint wants it: its bytes are field content (RFC 9110 section 5.5), no
/// CR, LF, NUL or anything else that would end the field. Errors: Denied (no secret in the text).
[[nodiscard]] Status check_lease(const HeldLease& lease, const profiles::Endpoint& endpoint);

/// The encoded head of `head` with the credential, wiped when destroyed. `lease` nullptr: the head as it is.
/// `fields`: made of that head, where the endpoint wants a signature or a proof; otherwise nullptr. Precondition:
/// check_lease() was fine.
[[nodiscard]] Secret inject(const RequestHead& head, const HeldLease* lease, const profiles::Endpoint* endpoint,
                            const Secret* fields = nullptr);

}  // namespace sanctum::interceptor
