// SPDX-License-Identifier: Apache-2.0
// TableReader: takes the known keys of one table, checks their types, and reports every other key. Internal.
#pragma once

#include "profiles/schema/diagnostics.hpp"
#include "profiles/schema/toml_document.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

enum class Need : std::uint8_t { Optional, Required };

class TableReader {
public:
    /// `title`: how the table is called in messages, `[mission]`. `at`: where a missing key is reported.
    TableReader(const TomlValue& table, Place at, std::string title, Diagnostics& diagnostics)
        : table_(table), at_(at), title_(std::move(title)), diagnostics_(diagnostics) {}

    /// The member as it is, marked as known. Nullptr when absent (reported when Required).
    const TomlMember* take(std::string_view key, Need need = Need::Optional, std::string_view hint = {});

    // Typed members; nullopt when absent or, after a diagnostic, of another type. `example` completes the hint.
    std::optional<Placed<std::string>> text(std::string_view key, Need need, std::string_view example);
    std::optional<Placed<std::vector<Placed<std::string>>>> texts(std::string_view key, Need need,
                                                                  std::string_view example);
    std::optional<Placed<bool>> boolean(std::string_view key);
    std::optional<Placed<std::int64_t>> integer(std::string_view key, std::int64_t min, std::int64_t max);
    const TomlMember* table(std::string_view key, std::string_view example);
    /// The elements of an array of tables `[[key]]`; empty when absent.
    std::vector<const TomlValue*> tables(std::string_view key);
    /// One word of an enumeration that has name_of and parse_name.
    template <class E>
    std::optional<Placed<E>> word(std::string_view key, std::initializer_list<E> allowed);

    /// A key that the format knows but this version cannot do.
    void refuse(std::string_view key, std::string text, std::string hint);

    /// The member, without making its key known.
    [[nodiscard]] const TomlMember* peek(std::string_view key) const { return table_.find(key); }
    /// Not to be reported as unknown: somebody reported it already.
    void forgive(std::string_view key) { refused_.emplace_back(key); }

    /// Reports every key that nobody took.
    void finish();

    [[nodiscard]] Place at() const { return at_; }
    [[nodiscard]] const std::string& title() const { return title_; }
    [[nodiscard]] Diagnostics& diagnostics() { return diagnostics_; }

private:
    const TomlMember* take_kind(std::string_view key, Need need, TomlKind kind, std::string_view example);
    void report_word(const Placed<std::string>& word, std::string_view key, const std::vector<std::string>& allowed);

    const TomlValue& table_;
    Place at_;
    std::string title_;
    Diagnostics& diagnostics_;
    std::vector<std::string> known_;
    std::vector<std::string> refused_;  // never suggested
};

/// Reports a value of the wrong type: `KEY must be WANTED, not FOUND`.
void report_kind(Diagnostics& diagnostics, const TomlValue& value, std::string_view key, std::string_view wanted,
                 std::string_view example);

/// The texts of a list; reports elements of another type, empty or unprintable ones, and repeats.
[[nodiscard]] std::vector<Placed<std::string>> read_texts(const TomlValue& list, std::string_view key,
                                                          std::string_view example, Diagnostics& diagnostics);

template <class E>
std::optional<Placed<E>> TableReader::word(std::string_view key, std::initializer_list<E> allowed) {
    std::vector<std::string> names;
    for (const E value : allowed) names.emplace_back(name_of(value));
    const auto written = text(key, Need::Optional, names.front());
    if (!written) return std::nullopt;
    for (const E value : allowed) {
        if (name_of(value) == written->value) return Placed<E>{value, written->at};
    }
    report_word(*written, key, names);
    return std::nullopt;
}

}  // namespace sanctum::profiles
