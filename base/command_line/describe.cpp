// SPDX-License-Identifier: Apache-2.0
#include "base/command_line/describe.hpp"

#include <CLI/CLI.hpp>

namespace sanctum {
namespace {

// A type name such as `TEXT:{claude,codex}` holds the words of an IsMember check behind the value's name.
std::vector<std::string> take_choices(std::string& type) {
    std::vector<std::string> choices;
    const std::size_t open = type.find(":{");
    const std::size_t close = open == std::string::npos ? open : type.find('}', open);
    if (close == std::string::npos) return choices;
    std::string word;
    for (std::size_t i = open + 2; i <= close; ++i) {
        if (type[i] != ',' && type[i] != '}') {
            word += type[i];
            continue;
        }
        choices.push_back(word);
        word.clear();
    }
    type.erase(open);
    return choices;
}

OptionFacts describe(const CLI::Option& option) {
    OptionFacts facts;
    for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
    for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
    facts.what = option.get_description();
    if (option.get_items_expected_max() == 0) return facts;
    facts.value = option.get_type_name();
    facts.choices = take_choices(facts.value);
    // A range check stands behind the value's name: `N:INT in [0 - 9]`.
    if (const std::size_t range = facts.value.find(" in ["); range != std::string::npos) {
        facts.value.erase(facts.value.find(':'));
    }
    facts.repeats = option.get_expected_max() > 1;
    return facts;
}

}  // namespace

CommandFacts describe_command_line(const CLI::App& app) {
    CommandFacts facts;
    facts.name = app.get_name();
    facts.what = app.get_description();
    facts.footer = app.get_footer();
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_group().empty()) continue;
        if (!option->get_positional()) {
            facts.options.push_back(describe(*option));
            continue;
        }
        std::string type = option->get_type_name();
        std::vector<std::string> choices = take_choices(type);
        // Where the type was named it is what --help shows; TEXT is only CLI11's word for a string.
        const std::string name = type.empty() || type == "TEXT" ? option->get_name(true) : type;
        facts.arguments.push_back({name, option->get_description(), std::move(choices), option->get_required(),
                                   option->get_expected_max() > 1});
    }
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (!command->get_group().empty()) facts.commands.push_back(describe_command_line(*command));
    }
    return facts;
}

}  // namespace sanctum
