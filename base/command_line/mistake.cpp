// SPDX-License-Identifier: Apache-2.0
#include "base/command_line/mistake.hpp"

#include "base/nearest.hpp"

#include <CLI/CLI.hpp>

#include <vector>

namespace sanctum {
namespace {

// The program, then each command that was parsed below the one before.
std::vector<const CLI::App*> parsed_commands(const CLI::App& app) {
    std::vector<const CLI::App*> all = {&app};
    while (!all.back()->get_subcommands().empty()) all.push_back(all.back()->get_subcommands().front());
    return all;
}

std::vector<std::string> long_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_group().empty()) continue;
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
}

std::string unknown_option(const CLI::App& command, const std::string& word) {
    const std::string name = word.substr(0, word.find('='));
    const std::string near = name.starts_with("--") ? nearest(name, long_names(command)) : std::string();
    return "unknown option `" + name + "`" + (near.empty() ? "" : ": did you mean `" + near + "`?");
}

}  // namespace

void refuse_empty_values(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
        if (option->get_items_expected_max() == 0) continue;
        option->check([](const std::string& value) { return std::string(value.empty() ? "its value is empty" : ""); });
    }
    for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) refuse_empty_values(*command);
}

std::string describe_mistake(const CLI::App& app, const CLI::Error& error) {
    std::string extra;
    for (const CLI::App* command : parsed_commands(app)) {
        const std::vector<std::string> words = command->remaining();  // in the order in which they were typed
        if (extra.empty() && !words.empty() && words.front().starts_with('-') && words.front() != "--") {
            return unknown_option(*command, words.front());
        }
        for (const std::string& word : words) extra += " " + word;
    }
    const bool is_about_extras = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    return is_about_extras ? "not expected:" + extra : std::string(error.what());
}

std::string parsed_command(const CLI::App& app) {
    std::string path;
    for (const CLI::App* command : parsed_commands(app)) path += (path.empty() ? "" : " ") + command->get_name();
    return path;
}

}  // namespace sanctum
