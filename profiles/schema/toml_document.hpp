// SPDX-License-Identifier: Apache-2.0
// A TOML text as a plain tree in which every key and value knows its place. Internal to profiles.
//
// The TOML library is known to toml_document.cpp alone; this tree can be copied and merged, which overrides need.
#pragma once

#include "profiles/schema/diagnostics.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

enum class TomlKind : std::uint8_t { Table, Array, String, Integer, Float, Boolean, Time };

struct TomlMember;

struct TomlValue {
    TomlKind kind = TomlKind::Table;
    Place at;
    std::string text;           ///< String
    std::int64_t integer = 0;   ///< Integer
    double real = 0;            ///< Float
    bool boolean = false;       ///< Boolean
    std::vector<TomlMember> members;   ///< Table, in the order of the text
    std::vector<TomlValue> elements;   ///< Array

    [[nodiscard]] const TomlMember* find(std::string_view key) const;
    [[nodiscard]] TomlMember* find(std::string_view key);
    [[nodiscard]] bool is_array_of_tables() const;
};

struct TomlMember {
    std::string key;
    Place at;  ///< of the key
    TomlValue value;
};

/// `text`, `a number`, `a list`, …
[[nodiscard]] const char* describe(TomlKind kind);

/// Parses one text that `diagnostics` knows as `source`. On a syntax error adds one diagnostic and gives nullopt.
[[nodiscard]] std::optional<TomlValue> parse_toml(std::string_view text, std::uint32_t source,
                                                  Diagnostics& diagnostics);

}  // namespace sanctum::profiles
