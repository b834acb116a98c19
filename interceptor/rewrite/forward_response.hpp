// SPDX-License-Identifier: Apache-2.0
// What of an upstream's response the agent may have, before the scrubber looks at its bytes.
#pragma once

#include "base/result.hpp"
#include "interceptor/http/message.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <string>

namespace sanctum::interceptor {

/// Removes fields that are not for the agent: other ways to the server (Alt-Svc), our own names, and on endpoints that
/// got a credential the cookies that it bought. Returns how many cookies were kept back.
std::size_t prepare_response(Fields& fields, const profiles::Endpoint* endpoint);

/// A body that the scrubber cannot read is not passed on where a credential was sent. Errors: Protocol.
[[nodiscard]] Status check_readable(const ResponseHead& head, const profiles::Endpoint* endpoint);

/// What the server says about scopes, and a 401 to an injected credential; bounded, for the outcome record.
[[nodiscard]] std::map<std::string, std::string> evidence_of(const ResponseHead& head, bool is_credentialed);

}  // namespace sanctum::interceptor
