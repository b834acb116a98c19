// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/toml_reader.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace sanctum::profiles {
namespace {

std::string quote(std::string_view key) { return "`" + std::string(key) + "`"; }

std::string assignment(std::string_view key, std::string_view example) {
    if (example.empty()) return {};
    const bool is_bare = std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    return "write " + (is_bare ? std::string(key) : "\"" + std::string(key) + "\"") + " = " + std::string(example);
}

bool check_text(Diagnostics& diagnostics, const TomlValue& value, std::string_view key) {
    if (value.text.empty()) {
        diagnostics.error(value.at, quote(key) + " is empty", "leave the key out, or give it a value");
        return false;
    }
    if (value.text.size() > kTextCharsMax) {
        diagnostics.error(value.at, quote(key) + " is longer than " + std::to_string(kTextCharsMax) + " characters");
        return false;
    }
    if (!is_printable(value.text)) {
        diagnostics.error(value.at, quote(key) + " has characters that cannot be seen",
                          "control characters and characters that change the direction of text are refused");
        return false;
    }
    return true;
}

// `token`, `client_secret`, `API-KEY`: what would stand behind it must not be repeated.
bool names_a_secret(std::string_view key) {
    std::string name(key);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
        return c == '-' ? '_' : static_cast<char>(std::tolower(c));
    });
    constexpr std::array<std::string_view, 9> kWords{"secret", "token",   "password",   "passphrase", "passwd",
                                                     "apikey", "api_key", "private_key", "credential"};
    return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
        return name == word || name.ends_with("_" + std::string(word));
    });
}

}  // namespace

void report_kind(Diagnostics& diagnostics, const TomlValue& value, std::string_view key, std::string_view wanted,
                 std::string_view example) {
    diagnostics.error(value.at, quote(key) + " must be " + std::string(wanted) + ", not " + describe(value.kind),
                      assignment(key, example));
}

std::vector<Placed<std::string>> read_texts(const TomlValue& list, std::string_view key, std::string_view example,
                                            Diagnostics& diagnostics) {
    std::vector<Placed<std::string>> out;
    if (list.elements.size() > kTextListMax) {
        diagnostics.error(list.at, quote(key) + " has more than " + std::to_string(kTextListMax) + " elements");
        return out;
    }
    for (const TomlValue& element : list.elements) {
        if (element.kind != TomlKind::String) {
            report_kind(diagnostics, element, key, "a list of texts", example);
            continue;
        }
        if (!check_text(diagnostics, element, key)) continue;
        const bool is_repeat =
            std::any_of(out.begin(), out.end(), [&](const auto& seen) { return seen.value == element.text; });
        if (is_repeat) {
            diagnostics.error(element.at, "`" + element.text + "` is written twice in " + quote(key),
                              "remove one of the two");
            continue;
        }
        out.push_back({element.text, element.at});
    }
    return out;
}

const TomlMember* TableReader::take(std::string_view key, Need need, std::string_view hint) {
    known_.emplace_back(key);
    const TomlMember* member = table_.find(key);
    if (member == nullptr && need == Need::Required) {
        diagnostics_.error(at_, title_ + " needs " + quote(key), std::string(hint));
    }
    return member;
}

const TomlMember* TableReader::take_kind(std::string_view key, Need need, TomlKind kind, std::string_view example) {
    const TomlMember* member = take(key, need, assignment(key, example));
    if (member == nullptr) return nullptr;
    if (member->value.kind != kind) {
        report_kind(diagnostics_, member->value, key, describe(kind), example);
        return nullptr;
    }
    return member;
}

std::optional<Placed<std::string>> TableReader::text(std::string_view key, Need need, std::string_view example) {
    const std::string shown = "\"" + std::string(example) + "\"";
    const TomlMember* member = take_kind(key, need, TomlKind::String, example.empty() ? example : shown);
    if (member == nullptr || !check_text(diagnostics_, member->value, key)) return std::nullopt;
    return Placed<std::string>{member->value.text, member->value.at};
}

std::optional<Placed<std::vector<Placed<std::string>>>> TableReader::texts(std::string_view key, Need need,
                                                                           std::string_view example) {
    const TomlMember* member = take_kind(key, need, TomlKind::Array, example);
    if (member == nullptr) return std::nullopt;
    return Placed<std::vector<Placed<std::string>>>{read_texts(member->value, key, example, diagnostics_),
                                                    member->value.at};
}

std::optional<Placed<bool>> TableReader::boolean(std::string_view key) {
    const TomlMember* member = take_kind(key, Need::Optional, TomlKind::Boolean, "true");
    if (member == nullptr) return std::nullopt;
    return Placed<bool>{member->value.boolean, member->value.at};
}

std::optional<Placed<std::int64_t>> TableReader::integer(std::string_view key, std::int64_t min, std::int64_t max) {
    const TomlMember* member =
        take_kind(key, Need::Optional, TomlKind::Integer, std::to_string(std::max<std::int64_t>(min, 1)));
    if (member == nullptr) return std::nullopt;
    if (member->value.integer < min || member->value.integer > max) {
        diagnostics_.error(member->value.at,
                           quote(key) + " must be between " + std::to_string(min) + " and " + std::to_string(max));
        return std::nullopt;
    }
    return Placed<std::int64_t>{member->value.integer, member->value.at};
}

const TomlMember* TableReader::table(std::string_view key, std::string_view example) {
    return take_kind(key, Need::Optional, TomlKind::Table, example);
}

std::vector<const TomlValue*> TableReader::tables(std::string_view key) {
    std::vector<const TomlValue*> out;
    const TomlMember* member = take(key);
    if (member == nullptr) return out;
    const TomlValue& value = member->value;
    if (value.kind == TomlKind::Table) {
        diagnostics_.error(member->at, "[" + std::string(key) + "] needs double brackets",
                           "write [[" + std::string(key) + "]]: there may be several");
        return out;
    }
    if (value.kind == TomlKind::Array && value.elements.empty()) return out;
    if (!value.is_array_of_tables()) {
        report_kind(diagnostics_, value, key, "a list of tables", {});
        return out;
    }
    if (value.elements.size() > kProfileListMax) {
        diagnostics_.error(member->at,
                           "more than " + std::to_string(kProfileListMax) + " [[" + std::string(key) + "]]");
        return out;
    }
    for (const TomlValue& element : value.elements) out.push_back(&element);
    return out;
}

void TableReader::refuse(std::string_view key, std::string text, std::string hint) {
    refused_.emplace_back(key);
    if (const TomlMember* member = table_.find(key)) {
        diagnostics_.error(member->at, std::move(text), std::move(hint));
    }
}

void TableReader::report_word(const Placed<std::string>& word, std::string_view key,
                              const std::vector<std::string>& allowed) {
    diagnostics_.error(word.at, quote(key) + " cannot be `" + word.value + "`", suggest(word.value, allowed));
}

void TableReader::finish() {
    for (const TomlMember& member : table_.members) {
        const auto is_in = [&](const std::vector<std::string>& keys) {
            return std::find(keys.begin(), keys.end(), member.key) != keys.end();
        };
        if (is_in(known_) || is_in(refused_)) continue;
        if (names_a_secret(member.key)) {
            diagnostics_.error(member.at, "unknown key " + quote(member.key) + " in " + title_ +
                                              "; a secret is never written into a file of this kind",
                               "keep it with `sanctum vault add NAME` for an account of the operator's configuration, "
                               "and get another one: this one may have been read",
                               Show::NotTheValue);
            continue;
        }
        diagnostics_.error(member.at, "unknown key " + quote(member.key) + " in " + title_,
                           suggest(member.key, known_));
    }
}

}  // namespace sanctum::profiles
