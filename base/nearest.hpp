// SPDX-License-Identifier: Apache-2.0
// Which known word a mistyped one was meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sanctum {

/// The candidate that differs from `word` in the fewest letters; empty when none is near.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace sanctum
