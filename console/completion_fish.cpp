// SPDX-License-Identifier: Apache-2.0
// fish: one `complete` line per command, option and argument, each with the condition under which it stands.
#include "console/completion.hpp"

namespace sanctum::console {
namespace {

constexpr const char* kFishHelpers = R"fish(
# Whether as many words as `test COUNT $argv[1] $argv[2]` says stand before the cursor: program, commands and arguments.
# Options do not count, nor the values of those in $argv[3..].
function __sanctum_argument
    set -l count 0
    set -l is_value 0
    for word in (commandline -opc)
        if test $is_value = 1
            set is_value 0
        else if string match -q -- '-*' $word
            contains -- $word $argv[3..]; and set is_value 1
        else
            set count (math $count + 1)
        end
    end
    test $count $argv[1] $argv[2]
end
)fish";

std::string in_quotes(const std::string& text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + "'";
}

std::string words_of(const std::string& value, const std::vector<std::string>& choices) {
    if (!choices.empty()) {
        std::string out;
        for (const std::string& choice : choices) out += (out.empty() ? "" : " ") + choice;
        return " -x -a " + in_quotes(out);
    }
    switch (kind_of_value(value)) {
        case ValueKind::File: return " -r -F";
        case ValueKind::Profile: return " -r -F -a " + in_quotes("(sanctum check --list 2>/dev/null)");
        case ValueKind::Mission:
            return " -x -a " + in_quotes("last (sanctum ps --all 2>/dev/null | string match -r '^[0-9a-z]{26}')");
        case ValueKind::Word: return " -x";
    }
    return " -x";
}

// True below exactly these commands, and while none of the inner ones was typed.
std::string condition(const std::vector<std::string>& path, const CommandFacts& command) {
    std::string out;
    for (const std::string& word : path) out += (out.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + word);
    if (!command.commands.empty()) {
        out += std::string(out.empty() ? "" : "; and ") + "not __fish_seen_subcommand_from";
        for (const CommandFacts& inner : command.commands) out += " " + inner.name;
    }
    return out;
}

// The arguments of a command by their place; files only where one is meant.
std::string argument_lines(const std::string& program, const std::vector<std::string>& path,
                           const CommandFacts& command) {
    std::string with_value;
    for (const OptionFacts& option : command.options) {
        if (option.value.empty()) continue;
        for (const std::string& name : option.names) with_value += " " + name;
    }
    const std::string below = condition(path, command);
    std::string out = "complete -c " + program + " -n " + in_quotes(below) + " -f\n";
    for (std::size_t i = 0; i < command.arguments.size(); ++i) {
        const ArgumentFacts& argument = command.arguments[i];
        const std::string place = std::string(argument.repeats ? "-ge " : "-eq ") + std::to_string(path.size() + 1 + i);
        out += "complete -c " + program + " -n " +
               in_quotes(below + "; and __sanctum_argument " + place + with_value) +
               words_of(argument.name, argument.choices) + "\n";
    }
    return out;
}

void write_command(std::string& out, const std::string& program, std::vector<std::string>& path,
                   const CommandFacts& command) {
    const std::string below = condition(path, command);
    const std::string start = "complete -c " + program + (below.empty() ? "" : " -n " + in_quotes(below));
    for (const CommandFacts& inner : command.commands) {
        out += start + " -f -a " + inner.name + " -d " + in_quotes(inner.what) + "\n";
    }
    for (const OptionFacts& option : command.options) {
        out += start;
        for (const std::string& name : option.names) {
            out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
        }
        if (!option.value.empty()) out += words_of(option.value, option.choices);
        out += " -d " + in_quotes(option.what) + "\n";
    }
    if (command.commands.empty() && command.name != "sanctum-run") out += argument_lines(program, path, command);
    for (const CommandFacts& inner : command.commands) {
        path.push_back(inner.name);
        write_command(out, program, path, inner);
        path.pop_back();
    }
}

}  // namespace

std::string fish_completion(const std::vector<CommandFacts>& programs) {
    std::string out = "# Completion of sanctum and sanctum-run for fish; made by `sanctum completion fish`.";
    out += kFishHelpers;
    for (const CommandFacts& program : programs) {
        std::vector<std::string> path;
        write_command(out, program.name, path, program);
    }
    return out + "complete -c sanctum-run -n 'contains -- -- (commandline -opc)' -x -a "
                 "'(__fish_complete_subcommand)'\n";
}

}  // namespace sanctum::console
