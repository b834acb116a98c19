// SPDX-License-Identifier: Apache-2.0
// Manual pages, in the macros of man(7).
#include "base/build_id.hpp"
#include "base/wire/archive.hpp"
#include "console/completion.hpp"

#include <algorithm>
#include <array>

namespace sanctum::console {
namespace {

using wire::JsonNode;
using wire::JsonText;

struct PageName {
    std::string_view name;
    std::string_view section;
};
constexpr std::array<PageName, 4> kPages = {
    {{"sanctum", "1"}, {"sanctum-run", "1"}, {"sanctum-profile", "5"}, {"sanctum-config", "5"}}};

// As base/places.hpp has them, without the variables that move them.
struct Place {
    std::string_view of_root;
    std::string_view of_a_user;  ///< empty: the same for everybody
    std::string_view what;
};
constexpr std::array<Place, 8> kPlaces = {{
    {"/etc/sanctum/config.toml", "~/.config/sanctum/config.toml",
     "What the operator lets missions use: sanctum-config(5)."},
    {"/etc/sanctum/profiles/", "~/.config/sanctum/profiles/",
     "Profiles that are called by their name: sanctum-profile(5)."},
    {"/etc/sanctum/catalog.d/", "~/.config/sanctum/catalog.d/", "Catalog entries of the operator's own."},
    {"/var/lib/sanctum/store.sealed", "~/.local/share/sanctum/store.sealed", "Credentials, sealed."},
    {"/var/lib/sanctum/ledger.key", "~/.local/share/sanctum/ledger.key",
     "What records are signed with; ledger.pub beside it is for everybody."},
    {"/var/lib/sanctum/state/", "~/.local/state/sanctum/",
     "Records and receipts (missions, receipts.jsonl), the journal of leases (state.db), trust in profiles "
     "(trust.json)."},
    {"/run/sanctum/", "$XDG_RUNTIME_DIR/sanctum/", "Control sockets of missions that run."},
    {"PREFIX/share/sanctum/", "", "Catalog, profiles and schemas as they are shipped."},
}};

// Text as it is: no word of it is a macro, an escape or a typographic hyphen.
std::string plain(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool begins_line = i == 0 || text[i - 1] == '\n';
        if (begins_line && (text[i] == '.' || text[i] == '\'')) out += "\\&";
        if (text[i] == '\\') out += "\\e";
        else if (text[i] == '-') out += "\\-";
        else out += text[i];
    }
    return out;
}

std::string heading(const std::string& name, const std::string& section) {
    std::string upper = name;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return ".\\\" Made by `sanctum manual " + name + "` from what the programs really read.\n.TH " + plain(upper) +
           " " + section + " \"\" \"Sanctum " + version() + "\" \"Sanctum\"\n";
}

std::string verbatim(const std::string& text) {
    const std::size_t from = text.find_first_not_of('\n');
    return from == std::string::npos ? "" : ".PP\n.nf\n" + plain(text.substr(from)) + "\n.fi\n";
}

std::string synopsis_of(const std::string& path, const CommandFacts& command) {
    std::string out = ".B " + plain(path) + "\n";
    if (!command.options.empty()) out += "[\\fIoptions\\fR]\n";
    for (const ArgumentFacts& argument : command.arguments) {
        const std::string name = "\\fI" + plain(argument.name) + "\\fR" + (argument.repeats ? "..." : "");
        out += argument.is_required ? name + "\n" : "[" + name + "]\n";
    }
    if (!command.commands.empty()) out += "\\fIcommand\\fR ...\n";
    if (command.name == "sanctum-run") out += "\\-\\- \\fIcommand\\fR [\\fIargument\\fR]...\n";
    return out;
}

std::string options_of(const CommandFacts& command) {
    std::string out;
    for (const ArgumentFacts& argument : command.arguments) {
        out += ".TP\n.I " + plain(argument.name) + "\n" + plain(argument.what) + "\n";
    }
    for (const OptionFacts& option : command.options) {
        out += ".TP\n";
        for (std::size_t i = 0; i < option.names.size(); ++i) {
            out += (i == 0 ? "" : ", ") + ("\\fB" + plain(option.names[i]) + "\\fR");
        }
        if (!option.value.empty()) out += " \\fI" + plain(option.value) + "\\fR";
        out += "\n" + plain(option.what);
        for (const std::string& choice : option.choices) {
            out += (choice == option.choices.front() ? "; one of " : ", ") + plain(choice);
        }
        out += "\n";
    }
    return out;
}

void write_commands(std::string& out, const std::string& path, const CommandFacts& command) {
    for (const CommandFacts& inner : command.commands) {
        const std::string inner_path = path + " " + inner.name;
        out += ".SS " + plain(inner_path) + "\n" + plain(inner.what) + "\n.PP\n" + synopsis_of(inner_path, inner) +
               options_of(inner) + verbatim(inner.footer);
        write_commands(out, inner_path, inner);
    }
}

// A definition that `allOf` or `$ref` names is described where it is used; its own words come second.
std::string words_of(const JsonNode& key) {
    std::string out;
    if (const auto words = key.member("description")) out = words->text().value_or("");
    const auto choices = key.member("enum");
    const auto listed = choices ? choices->elements() : std::nullopt;
    if (!listed) return out;
    std::string names;
    for (const JsonNode& choice : *listed) {
        if (choice.text()) names += (names.empty() ? "" : ", ") + ("\"" + *choice.text() + "\"");
    }
    return out + (out.empty() ? "One of " : " One of ") + names + ".";
}

// `#/definitions/NAME` → that definition.
std::optional<JsonNode> resolve(const JsonNode& root, const JsonNode& key) {
    const auto reference = key.member("$ref");
    const std::string name = reference ? reference->text().value_or("") : "";
    static constexpr std::string_view kBelow = "#/definitions/";
    const auto definitions = root.member("definitions");
    if (!name.starts_with(kBelow) || !definitions) return std::nullopt;
    return definitions->member(name.substr(kBelow.size()));
}

// The keys of a table, the keys of its tables behind them; `path` is how the file writes the table.
void write_keys(std::string& out, const JsonNode& root, const JsonNode& table, const std::string& path) {
    std::string tables;
    const auto properties = table.member("properties");
    const auto keys = properties ? properties->members() : std::nullopt;
    if (!keys) return;
    for (const auto& [name, key] : *keys) {
        const std::optional<JsonNode> referred = resolve(root, key);
        const JsonNode& node = referred ? *referred : key;
        // A list of tables, or tables under names of the author's.
        const auto items = node.member("items");
        const auto named = node.member("additionalProperties");
        const std::optional<JsonNode> each = items ? items : named;
        const std::optional<JsonNode> element = each ? resolve(root, *each) : std::nullopt;
        const JsonNode inner = element ? *element : items ? *items : node;
        const bool is_table = inner.member("properties").has_value();
        std::string place = path.empty() ? name : path + "." + name;
        std::string words = words_of(key);
        if (words.empty()) words = words_of(node);
        if (is_table) {
            if (!items && element) place += ".NAME";
            tables += ".SS " + plain(items ? "[[" + place + "]]" : "[" + place + "]") + "\n" + plain(words) + "\n";
            write_keys(tables, root, inner, place);
        } else {
            out += ".TP\n.B " + plain(place) + "\n" + plain(words.empty() ? "See the schema." : words) + "\n";
        }
    }
    out += tables;
}

std::string files() {
    std::string out =
        ".SH FILES\nThe first place is root's, the second a user's; XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME and "
        "XDG_RUNTIME_DIR move either.\n";
    for (const Place& place : kPlaces) {
        out += ".TP\n.I " + plain(place.of_root);
        if (!place.of_a_user.empty()) out += ", " + plain(place.of_a_user);
        out += "\n" + plain(place.what) + "\n";
    }
    return out;
}

std::string see_also(std::string_view own) {
    std::string out;
    for (const PageName& page : kPages) {
        if (page.name == own) continue;
        out += out.empty() ? ".SH SEE ALSO\n" : ",\n";
        out += ".BR " + plain(page.name) + " (" + std::string(page.section) + ")";
    }
    return out + "\n";
}

}  // namespace

std::string manual_of_program(const CommandFacts& program) {
    std::string what = program.what.substr(0, program.what.find_first_of(".:\n"));
    const bool has_commands = !program.commands.empty();
    if (has_commands) what = "what agents may do, did, and may no more";
    std::string out = heading(program.name, "1") + ".SH NAME\n" + plain(program.name) + " \\- " + plain(what) +
                      "\n.SH SYNOPSIS\n" + synopsis_of(program.name, program) + ".SH DESCRIPTION\n" +
                      plain(program.what) + "\n.SH OPTIONS\n" + options_of(program);
    if (has_commands) out += ".SH COMMANDS\n";
    write_commands(out, program.name, program);
    out += ".SH NOTES\n" + verbatim(program.footer);
    return out + files() + see_also(program.name);
}

Result<std::string> manual_of_format(const FormatPage& page) {
    SANCTUM_TRY(const JsonText schema, JsonText::parse(page.json_schema));
    const JsonNode root = schema.root();
    std::string out = heading(page.name, "5") + ".SH NAME\n" + plain(page.name) + " \\- " + plain(page.what) +
                      "\n.SH DESCRIPTION\n" + plain(words_of(root)) +
                      "\nThe file is TOML. Every key that is not listed here is a mistake.\n.SH KEYS\n";
    write_keys(out, root, root, "");
    return out + files() + see_also(page.name);
}

}  // namespace sanctum::console
