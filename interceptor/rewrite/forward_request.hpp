// SPDX-License-Identifier: Apache-2.0
// What of the agent's request may leave: everything that authenticates, routes around the decision or dodges the
// scrubber is taken out on endpoints that get a credential; elsewhere only what speaks for another hop.
#pragma once

#include "base/result.hpp"
#include "base/wire/archive.hpp"
#include "interceptor/http/message.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <string_view>

namespace sanctum::interceptor {

/// Strips `fields` (of a head or of trailers) for an endpoint; nullptr: a plain host.
void strip_fields(Fields& fields, const profiles::Endpoint* endpoint);

/// Refuses query parameters that carry the agent's own credential or override the method. They are refused and not
/// removed, so that what was decided stays what is sent. Errors: Denied, naming the parameter (never its value).
[[nodiscard]] Status check_query_parameters(const RequestHead& head, const profiles::Endpoint& endpoint);

/// What will be done with the answer. One that is redacted is needed whole and not encoded, wherever it comes from.
enum class AnswerIs : std::uint8_t { Streamed, Redacted };

/// Makes `head` what goes upstream, all but the credential.
void prepare_request(RequestHead& head, const profiles::Endpoint* endpoint, AnswerIs answer);

/// The digest of formats 6 over a prepared head, before the credential is on it. `is_tls` gives the origin's scheme.
[[nodiscard]] wire::Digest head_digest(const RequestHead& head, std::uint16_t port, bool is_tls);

}  // namespace sanctum::interceptor
