// SPDX-License-Identifier: Apache-2.0
// Query strings, as far as decisions need them: single parameters by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sanctum::profiles {

/// Name and value pairs in order, percent escapes and `+` decoded. A broken escape stays as written.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

/// The value of a parameter that is given exactly once; nullopt when it is absent or repeated.
[[nodiscard]] std::optional<std::string> single_parameter(std::string_view query, std::string_view name);

}  // namespace sanctum::profiles
