// SPDX-License-Identifier: Apache-2.0
// The gates: what is ambiguous or dangerous in a parsed head is refused here, never repaired, so that the form that
// is decided on is the only form there is. Each error names its RFC section.
#pragma once

#include "base/result.hpp"
#include "interceptor/http/http1_decoder.hpp"
#include "interceptor/http/message.hpp"

#include <string_view>

namespace sanctum::interceptor {

/// RawHead → RequestHead. Errors: Protocol.
[[nodiscard]] Result<RequestHead> gate_request(RawHead raw);

/// RawHead → ResponseHead; `is_to_head`: the request was HEAD. Errors: Protocol.
[[nodiscard]] Result<ResponseHead> gate_response(RawHead raw, bool is_to_head);

/// Refuses trailer fields that would frame, route or authenticate (RFC 9110 section 6.5.1). Errors: Protocol.
[[nodiscard]] Result<Fields> gate_trailers(Fields fields);

}  // namespace sanctum::interceptor
