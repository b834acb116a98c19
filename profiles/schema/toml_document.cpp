// SPDX-License-Identifier: Apache-2.0
// The only file that includes the TOML library. Header-only and without exceptions: the distribution's shared library
// is built with them, and one library less to load shortens every start.
//
// SECURITY: version 3.3.0 asserts on some malformed texts (a heading `[ #`), which ends the process, and with NDEBUG
// goes on undefined. NDEBUG is taken away for this library alone and its assertions become an exception that never
// leaves parse_toml: a hostile profile is a mistake with a place, whatever the build.
namespace {
struct BrokenAssertion {};
[[noreturn]] void broken_assertion() { throw BrokenAssertion{}; }
}  // namespace
#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? static_cast<void>(0) : broken_assertion())
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#include <toml++/toml.h>

#include "profiles/schema/toml_document.hpp"

#include "base/limits.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

Place place_of(const toml::source_region& region, std::uint32_t source) {
    Place at{.source = source, .line = region.begin.line, .column = region.begin.column, .width = 1};
    if (region.end.line == region.begin.line && region.end.column > region.begin.column) {
        at.width = region.end.column - region.begin.column;
    }
    return at;
}

TomlValue convert(const toml::node& node, std::uint32_t source);

void convert_table(const toml::table& table, std::uint32_t source, TomlValue& value) {
    value.kind = TomlKind::Table;
    for (const auto& [key, member] : table) {
        value.members.push_back({std::string(key.str()), place_of(key.source(), source), convert(member, source)});
    }
    // The library sorts by key; the author's order is what diagnostics and explain follow.
    std::stable_sort(value.members.begin(), value.members.end(), [](const TomlMember& a, const TomlMember& b) {
        return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
    });
}

TomlValue convert(const toml::node& node, std::uint32_t source) {
    TomlValue value;
    value.at = place_of(node.source(), source);
    if (const toml::table* table = node.as_table()) {
        convert_table(*table, source, value);
    } else if (const toml::array* array = node.as_array()) {
        value.kind = TomlKind::Array;
        for (const toml::node& element : *array) value.elements.push_back(convert(element, source));
    } else if (const auto* text = node.as_string()) {
        value.kind = TomlKind::String;
        value.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
        value.kind = TomlKind::Integer;
        value.integer = integer->get();
    } else if (const auto* real = node.as_floating_point()) {
        value.kind = TomlKind::Float;
        value.real = real->get();
    } else if (const auto* boolean = node.as_boolean()) {
        value.kind = TomlKind::Boolean;
        value.boolean = boolean->get();
    } else {
        value.kind = TomlKind::Time;
    }
    return value;
}

constexpr const char* kQuote = "text ends on the line where it begins; is the closing quote missing?";
constexpr const char* kAnyMistake = "look at what stands before this place as well";

// `Error while parsing string: …` → what follows; a line end as a word and not as one.
std::string sentence_of(std::string_view description) {
    constexpr std::string_view kIntroduction = "Error while parsing ";
    if (description.starts_with(kIntroduction)) {
        const std::size_t colon = description.find(": ");
        if (colon != std::string_view::npos) description.remove_prefix(colon + 2);
    }
    std::string out(description);
    for (const auto& [raw, word] :
         {std::pair{"'\\n'", "the end of the line"}, std::pair{"saw '\\r'", "the end of the line"}}) {
        const std::size_t at = out.find(raw);
        if (at != std::string::npos) out.replace(at, std::string_view(raw).size(), word);
    }
    return out;
}

// The library's sentences name its parser's state; these name what the author probably meant.
std::string hint_for(std::string_view description) {
    struct Known {
        std::string_view part;
        const char* hint;
    };
    static constexpr Known kKnown[] = {
        {"cannot redefine", "a key may be given once; join the two"},
        {"could not determine value type", "text needs quotes: key = \"value\""},
        {"unterminated", kQuote},
        {"unescaped control characters", kQuote},
        {"encountered end-of-line when", kQuote},
        {"encountered end-of-file", "a quote or bracket is not closed"},
        {"expected ']'", "a bracket is not closed"},
        {"expected '}'", "a brace is not closed"},
        {"expected '='", "a line is `key = value`, or a heading such as [mission] or [[service]]"},
        {"invalid utf-8", "the file has to be UTF-8 text"},
        {"bare key", "a key with other characters than A-Z a-z 0-9 - _ needs quotes: \"SERVICE:SCOPE\" = 20"},
    };
    std::string lower(description);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
    });
    for (const Known& known : kKnown) {
        if (lower.find(known.part) != std::string::npos) return known.hint;
    }
    return kAnyMistake;
}

}  // namespace

const TomlMember* TomlValue::find(std::string_view key) const {
    const auto found = std::find_if(members.begin(), members.end(), [&](const TomlMember& m) { return m.key == key; });
    return found == members.end() ? nullptr : &*found;
}

TomlMember* TomlValue::find(std::string_view key) {
    const auto found = std::find_if(members.begin(), members.end(), [&](const TomlMember& m) { return m.key == key; });
    return found == members.end() ? nullptr : &*found;
}

bool TomlValue::is_array_of_tables() const {
    return kind == TomlKind::Array && !elements.empty() &&
           std::all_of(elements.begin(), elements.end(), [](const TomlValue& e) { return e.kind == TomlKind::Table; });
}

const char* describe(TomlKind kind) {
    switch (kind) {
        case TomlKind::Table: return "a table";
        case TomlKind::Array: return "a list";
        case TomlKind::String: return "text";
        case TomlKind::Integer: return "a whole number";
        case TomlKind::Float: return "a decimal number";
        case TomlKind::Boolean: return "true or false";
        case TomlKind::Time: return "a date or time";
    }
    return "?";
}

std::optional<TomlValue> parse_toml(std::string_view text, std::uint32_t source, Diagnostics& diagnostics) {
    std::optional<toml::parse_result> result;
    try {
        result = toml::parse(text, std::string_view{});
    } catch (const BrokenAssertion&) {
        diagnostics.error({.source = source, .line = 1, .column = 1, .width = 1}, "not valid TOML",
                          "a heading in brackets holds something else than a name, as in [mission] or [[service]]");
        return std::nullopt;
    }
    if (!*result) {
        const toml::parse_error& error = result->error();
        const std::string_view description = error.description();
        diagnostics.error(place_of(error.source(), source), "not valid TOML: " + sentence_of(description),
                          hint_for(description));
        return std::nullopt;
    }
    return convert(result->table(), source);
}

}  // namespace sanctum::profiles
