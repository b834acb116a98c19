// SPDX-License-Identifier: Apache-2.0
// System-call numbers by name for the architectures that Sanctum runs on. Numbers never change once the kernel has
// given them out; a call that is not in this table does not exist for the agent.
#pragma once

#include "base/confinement/call_filter.hpp"

#include <optional>
#include <string_view>

namespace sanctum::launcher {

/// The number of `name`, or nullopt: not in the table, or not on this architecture.
[[nodiscard]] std::optional<int> call_number(std::string_view name, Architecture architecture);

/// The name of a number, or an empty text.
[[nodiscard]] std::string_view call_name(int number, Architecture architecture);

/// True when the table knows the name for any architecture.
[[nodiscard]] bool is_known_call(std::string_view name);

}  // namespace sanctum::launcher
