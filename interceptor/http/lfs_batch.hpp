// SPDX-License-Identifier: Apache-2.0
// What a request to git-lfs's batch API asks for: it is said in the body, and nowhere else.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// `download` or `upload`, as every server reads it from this whole body. Errors: Protocol (no JSON object in UTF-8, a
/// member twice, `operation` missing, in other letters as well, or another word).
[[nodiscard]] Result<std::string> read_lfs_operation(std::string_view body);

}  // namespace sanctum::interceptor
