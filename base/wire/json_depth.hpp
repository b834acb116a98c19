// SPDX-License-Identifier: Apache-2.0
// How deep a JSON text is nested, asked before a library reads it. Pure.
#pragma once

#include <string_view>

namespace sanctum::wire {

/// True when objects and lists are nested deeper than kJsonDepthMax. What the library does with half a million brackets
/// takes it seconds, and whoever walks such a tree needs a stack as deep. Up to the first byte that is no JSON the
/// answer is exact, and there the library stops.
[[nodiscard]] bool is_too_deep(std::string_view text);

}  // namespace sanctum::wire
