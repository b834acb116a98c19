// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/words.hpp"

namespace sanctum::profiles {

void check_schema(TableReader& top) {
    const TomlMember* member = top.take("schema", Need::Required, "write schema = 1 at the top");
    if (member == nullptr) return;
    const TomlValue& value = member->value;
    if (value.kind != TomlKind::Integer) {
        report_kind(top.diagnostics(), value, "schema", "a whole number", "1");
    } else if (value.integer > kTextSchema) {
        top.diagnostics().error(value.at, "this file is of schema " + std::to_string(value.integer) +
                                              ", made for a newer Sanctum; this one reads schema 1",
                                "install a newer Sanctum, or write the file for schema 1");
    } else if (value.integer < kTextSchema) {
        top.diagnostics().error(value.at, "there is no schema " + std::to_string(value.integer), "write schema = 1");
    }
}

std::optional<Placed<std::int64_t>> read_duration(TableReader& reader, std::string_view key, std::string_view example) {
    const auto text = reader.text(key, Need::Optional, example);
    if (!text) return std::nullopt;
    const auto value = accept(reader.diagnostics(), text->at, parse_duration(text->value));
    if (!value) return std::nullopt;
    return Placed<std::int64_t>{*value, text->at};
}

std::optional<Placed<std::uint64_t>> read_size(TableReader& reader, std::string_view key, std::string_view example) {
    const auto text = reader.text(key, Need::Optional, example);
    if (!text) return std::nullopt;
    const auto value = accept(reader.diagnostics(), text->at, parse_size(text->value));
    if (!value) return std::nullopt;
    return Placed<std::uint64_t>{*value, text->at};
}

}  // namespace sanctum::profiles
