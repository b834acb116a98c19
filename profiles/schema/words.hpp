// SPDX-License-Identifier: Apache-2.0
// What profiles, configurations and catalog entries have in common beyond single values. Internal.
#pragma once

#include "profiles/schema/toml_reader.hpp"
#include "profiles/schema/values.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace sanctum::profiles {

/// The only schema number that this version reads.
inline constexpr std::int64_t kTextSchema = 1;

/// Takes `schema = 1`; reports its absence and other numbers.
void check_schema(TableReader& top);

/// Takes a duration or size member and parses it.
[[nodiscard]] std::optional<Placed<std::int64_t>> read_duration(TableReader& reader, std::string_view key,
                                                                std::string_view example);
[[nodiscard]] std::optional<Placed<std::uint64_t>> read_size(TableReader& reader, std::string_view key,
                                                             std::string_view example);

/// The value, or nullopt after reporting the fault at `at`.
template <class T>
std::optional<T> accept(Diagnostics& diagnostics, Place at, Parsed<T> parsed) {
    if (Fault* fault = std::get_if<Fault>(&parsed)) {
        diagnostics.error(at, std::move(fault->text), std::move(fault->hint));
        return std::nullopt;
    }
    return std::get<T>(std::move(parsed));
}

}  // namespace sanctum::profiles
