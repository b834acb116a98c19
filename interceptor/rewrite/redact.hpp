// SPDX-License-Identifier: Apache-2.0
// redact: takes values that are credentials of their own out of a JSON answer. The catalog names them per operation by
// JSON pointers (RFC 6901); the scrubber cannot know them, because they were never ours.
//
// The whole body is looked at in one piece. What cannot be read with certainty is an error, and the caller passes
// nothing of it on.
#pragma once

#include "base/result.hpp"
#include "interceptor/http/message.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace sanctum::interceptor {

/// Whether a body of this answer can be redacted: whole, not encoded, said to be JSON, and not announced as larger than
/// kRedactedBodyBytesMax. An answer without a body always can. Errors: Protocol, Limit.
[[nodiscard]] Status check_redactable(const ResponseHead& head);

/// Overwrites in `body` every value that one of `pointers` names with stars; a name `*` stands for every element of an
/// array and every member of an object. Lengths stay what they were announced as:
/// a value of one byte becomes 0, a longer one a string. null and the empty string hold nothing and stay. Returns how
/// many values were overwritten. An empty body is fine.
/// Errors: Protocol (not exactly one JSON text in UTF-8, a name twice in one object, nested deeper than kJsonDepthMax);
/// `body` may then be changed in part.
[[nodiscard]] Result<std::size_t> redact(std::string& body, const std::vector<std::string>& pointers);

}  // namespace sanctum::interceptor
