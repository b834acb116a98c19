// SPDX-License-Identifier: Apache-2.0
// What the command line changes: each flag becomes part of the tree, with its own place, before anything is resolved.
// So an override passes the same checks as the file, and its mistakes are shown with the flag and a caret.
#include "profiles/schema/profile_text.hpp"

#include "base/limits.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

constexpr std::string_view kEnvironmentKey = "sandbox.environment";

struct Flag {
    std::uint32_t source = 0;
    std::uint32_t key_column = 1;
    std::uint32_t value_column = 1;
    std::uint32_t value_width = 1;

    [[nodiscard]] Place key(std::size_t width) const {
        return {source, 1, key_column, static_cast<std::uint32_t>(std::max<std::size_t>(width, 1))};
    }
    [[nodiscard]] Place value() const { return {source, 1, value_column, value_width}; }
};

void place_everywhere(TomlValue& value, const Flag& flag) {
    value.at = flag.value();
    for (TomlValue& element : value.elements) place_everywhere(element, flag);
    for (TomlMember& member : value.members) {
        member.at = flag.value();
        place_everywhere(member.value, flag);
    }
}

TomlValue text_value(std::string_view text, const Flag& flag) {
    TomlValue value;
    value.kind = TomlKind::String;
    value.text = text;
    value.at = flag.value();
    return value;
}

// A TOML value, or a bare word such as 1GiB or deny, which shells make hard to quote.
std::optional<TomlValue> read_value(std::string_view text, const Flag& flag, Diagnostics& diagnostics) {
    Diagnostics scratch;
    const std::string line = "value = " + std::string(text);
    const bool is_one_line = text.find('\n') == std::string_view::npos;
    std::optional<TomlValue> parsed = is_one_line ? parse_toml(line, scratch.add_flag(line), scratch) : std::nullopt;
    if (parsed && parsed->members.size() == 1) {
        TomlValue value = std::move(parsed->members.front().value);
        place_everywhere(value, flag);
        if (value.kind == TomlKind::Time) return text_value(text, flag);
        return value;
    }
    if (text.find_first_of("\"'[]{}\n") != std::string_view::npos) {
        diagnostics.error(flag.value(), "the value is not valid TOML",
                          "write key=word, key=\"text\" or key=[\"a\", \"b\"]");
        return std::nullopt;
    }
    return text_value(text, flag);
}

// `a."b.c".d` → a, b.c, d.
std::optional<std::vector<std::string>> split_key(std::string_view key) {
    std::vector<std::string> parts;
    while (true) {
        if (key.starts_with('"')) {
            const std::size_t end = key.find('"', 1);
            if (end == std::string_view::npos) return std::nullopt;
            parts.emplace_back(key.substr(1, end - 1));
            key.remove_prefix(end + 1);
        } else {
            const std::size_t end = std::min(key.find('.'), key.size());
            parts.emplace_back(key.substr(0, end));
            key.remove_prefix(end);
        }
        if (parts.back().empty()) return std::nullopt;
        if (key.empty()) return parts;
        if (!key.starts_with('.')) return std::nullopt;
        key.remove_prefix(1);
    }
}

TomlValue* element_by_name(TomlValue& list, const std::string& name, const std::string& key, const Flag& flag,
                           Diagnostics& diagnostics) {
    std::vector<std::string> known;
    for (TomlValue& element : list.elements) {
        const TomlMember* member = element.find("name");
        if (member == nullptr) continue;
        if (member->value.text == name) return &element;
        known.push_back(member->value.text);
    }
    diagnostics.error(flag.key(key.size()), "there is no [[" + key + "]] with the name `" + name + "`",
                      suggest(name, known));
    return nullptr;
}

TomlValue* step_into(TomlValue& table, const std::string& part, const Flag& flag) {
    TomlMember* member = table.find(part);
    if (member == nullptr) {
        TomlValue made;
        made.at = flag.key(part.size());
        table.members.push_back({part, flag.key(part.size()), std::move(made)});
        member = &table.members.back();
    }
    return &member->value;
}

void set_value(TomlValue& tree, const std::vector<std::string>& parts, TomlValue value, const Flag& flag,
               Diagnostics& diagnostics) {
    TomlValue* table = &tree;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        TomlValue* next = step_into(*table, parts[i], flag);
        if (next->is_array_of_tables() && i + 2 < parts.size()) {
            next = element_by_name(*next, parts[i + 1], parts[i], flag, diagnostics);
            ++i;
        }
        if (next == nullptr) return;
        if (next->kind != TomlKind::Table) {
            diagnostics.error(flag.key(parts[i].size()), "`" + parts[i] + "` has no keys below it",
                              next->kind == TomlKind::Array ? "write " + parts[i] + ".NAME.KEY=value" : std::string());
            return;
        }
        table = next;
    }
    TomlMember* member = table->find(parts.back());
    if (member != nullptr) {
        member->value = std::move(value);
        member->at = flag.key(parts.back().size());
    } else {
        table->members.push_back({parts.back(), flag.key(parts.back().size()), std::move(value)});
    }
}

void merge_setting(const std::string& setting, TomlValue& tree, Diagnostics& diagnostics) {
    constexpr std::string_view kFlag = "-c ";
    const std::size_t equals = setting.find('=');
    const std::string_view key = std::string_view(setting).substr(0, equals);
    // The value may be a secret that somebody is about to learn not to put there; only the key is shown.
    const bool is_hidden = key.starts_with(kEnvironmentKey);
    Flag flag{.source = diagnostics.add_flag(std::string(kFlag) + (is_hidden ? std::string(key) + "=…" : setting)),
              .key_column = static_cast<std::uint32_t>(kFlag.size() + 1)};
    if (equals == std::string::npos || equals == 0) {
        return diagnostics.error(flag.key(setting.size()), "an override is key=value",
                                 "as in -c sandbox.limits.memory=1GiB");
    }
    flag.value_column = static_cast<std::uint32_t>(kFlag.size() + equals + 2);
    flag.value_width =
        static_cast<std::uint32_t>(is_hidden ? 1 : std::max<std::size_t>(setting.size() - equals - 1, 1));
    const auto parts = split_key(key);
    if (!parts) {
        return diagnostics.error(flag.key(key.size()), "`" + std::string(key) + "` is not a key",
                                 "dotted names, as in approval.high");
    }
    std::optional<TomlValue> value = read_value(std::string_view(setting).substr(equals + 1), flag, diagnostics);
    if (value) set_value(tree, *parts, std::move(*value), flag, diagnostics);
}

void merge_variable(const std::string& variable, TomlValue& tree, Diagnostics& diagnostics) {
    constexpr std::string_view kFlag = "-e ";
    const std::size_t equals = variable.find('=');
    const std::string name = variable.substr(0, equals);
    const std::string shown = std::string(kFlag) + name + (equals == std::string::npos ? "" : "=…");
    const Flag flag{.source = diagnostics.add_flag(shown),
                    .key_column = static_cast<std::uint32_t>(kFlag.size() + 1),
                    .value_column = static_cast<std::uint32_t>(kFlag.size() + 1),
                    .value_width = static_cast<std::uint32_t>(std::max<std::size_t>(name.size(), 1))};
    if (name.empty()) return diagnostics.error(flag.key(1), "-e needs a variable", "as in -e LANG or -e CI=1");
    TomlValue* environment = step_into(*step_into(tree, "sandbox", flag), "environment", flag);
    if (environment->kind != TomlKind::Table) return;  // reported when the tree is read
    TomlMember* pass = environment->find("pass");
    if (pass != nullptr && pass->value.kind == TomlKind::Array) {
        std::erase_if(pass->value.elements, [&](const TomlValue& element) { return element.text == name; });
    }
    if (equals != std::string::npos) {
        return set_value(tree, {"sandbox", "environment", "set", name},
                         text_value(std::string_view(variable).substr(equals + 1), flag), flag, diagnostics);
    }
    if (pass == nullptr) {
        TomlValue list;
        list.kind = TomlKind::Array;
        list.at = flag.value();
        environment->members.push_back({"pass", flag.value(), std::move(list)});
        pass = &environment->members.back();
    }
    if (pass->value.kind == TomlKind::Array) pass->value.elements.push_back(text_value(name, flag));
    if (TomlMember* set = environment->find("set"); set != nullptr && set->value.kind == TomlKind::Table) {
        std::erase_if(set->value.members, [&](const TomlMember& member) { return member.key == name; });
    }
}

// `--KEY TEXT` for a key of [mission].
void merge_option(const std::string& key, const std::string& text, TomlValue& tree, Diagnostics& diagnostics) {
    if (text.empty()) return;
    const std::string start = "--" + key + " ";
    const Flag flag{.source = diagnostics.add_flag(start + text),
                    .key_column = 1,
                    .value_column = static_cast<std::uint32_t>(start.size() + 1),
                    .value_width = static_cast<std::uint32_t>(text.size())};
    set_value(tree, {"mission", key}, text_value(text, flag), flag, diagnostics);
}

}  // namespace

void merge_overrides(const Overrides& overrides, TomlValue& tree, Diagnostics& diagnostics) {
    for (const std::string& setting : overrides.settings) merge_setting(setting, tree, diagnostics);
    for (const std::string& variable : overrides.environment) merge_variable(variable, tree, diagnostics);
    merge_option("ttl", overrides.ttl, tree, diagnostics);
    merge_option("name", overrides.name, tree, diagnostics);
}

std::vector<std::string> recorded_overrides(const Overrides& overrides) {
    std::vector<std::string> out;
    for (const std::string& setting : overrides.settings) {
        const bool is_hidden = setting.starts_with(kEnvironmentKey);
        out.push_back(is_hidden ? setting.substr(0, setting.find('=')) + "=(not recorded)" : setting);
    }
    for (const std::string& variable : overrides.environment) {
        const std::size_t equals = variable.find('=');
        out.push_back("-e " + variable.substr(0, equals) + (equals == std::string::npos ? "" : "=(not recorded)"));
    }
    for (const std::string& mount : overrides.mounts) out.push_back("--mount " + mount);
    if (!overrides.ttl.empty()) out.push_back("ttl=" + overrides.ttl);
    if (!overrides.name.empty()) out.push_back("name=" + overrides.name);
    return out;
}

std::vector<MountText> read_mounts(const Overrides& overrides, Diagnostics& diagnostics) {
    std::vector<MountText> out;
    constexpr std::string_view kFlag = "--mount ";
    for (const std::string& mount : overrides.mounts) {
        const std::uint32_t source = diagnostics.add_flag(std::string(kFlag) + mount);
        MountText text;
        text.at = {source, 1, kFlag.size() + 1, static_cast<std::uint32_t>(std::max<std::size_t>(mount.size(), 1))};
        std::string rest = mount;
        if (rest.ends_with(":ro")) {
            text.writable = false;
            rest.resize(rest.size() - 3);
        }
        const std::size_t colon = rest.find(':');
        text.source = rest.substr(0, colon);
        text.target = colon == std::string::npos ? std::string() : rest.substr(colon + 1);
        const bool is_whole = !text.source.empty() && text.target.starts_with('/') &&
                              text.target.find(':') == std::string::npos && is_printable(mount) &&
                              mount.size() <= kTextCharsMax;
        if (!is_whole) {
            diagnostics.error(text.at, "a mount is SRC:DST or SRC:DST:ro, with an absolute DST",
                              "as in --mount ~/data:/data:ro");
            continue;
        }
        out.push_back(std::move(text));
    }
    return out;
}

}  // namespace sanctum::profiles
