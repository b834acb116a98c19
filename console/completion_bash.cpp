// SPDX-License-Identifier: Apache-2.0
// bash: three tables (words, options, values) by the path of commands, and one function that walks the line.
#include "console/completion.hpp"

#include <functional>

namespace sanctum::console {
namespace {

using Visit = std::function<void(const std::string& path, const CommandFacts& command)>;

void for_each_command(const CommandFacts& command, const std::string& path, const Visit& visit) {
    visit(path, command);
    for (const CommandFacts& inner : command.commands) for_each_command(inner, path + " " + inner.name, visit);
}

// Table words are names of ours: letters, digits and hyphens; nothing that a shell would expand.
std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
    return out;
}

std::string words_of_value(ValueKind kind, const std::vector<std::string>& choices) {
    if (!choices.empty()) return joined(choices);
    switch (kind) {
        case ValueKind::File: return "@file";
        case ValueKind::Profile: return "@profile";
        case ValueKind::Mission: return "@mission";
        case ValueKind::Word: break;
    }
    return "@word";
}

std::string row(const std::string& key, const std::string& words, const char* pattern = "") {
    return "        '" + key + "'" + pattern + ") echo '" + words + "' ;;\n";
}

std::string table(const char* function, const std::string& rows) {
    return std::string(function) + "() {\n    case $1 in\n" + rows + "    esac\n}\n";
}

// What stands where a word is expected, by the number of words that stand behind the command already: commands, or what
// the argument at that place means.
std::string rows_of_words(const CommandFacts& command, const std::string& path) {
    std::vector<std::string> names;
    for (const CommandFacts& inner : command.commands) names.push_back(inner.name);
    if (!names.empty()) return row(path + " 0", joined(names));
    std::string rows;
    for (std::size_t i = 0; i < command.arguments.size(); ++i) {
        const ArgumentFacts& argument = command.arguments[i];
        const std::string words = words_of_value(kind_of_value(argument.name), argument.choices);
        rows += argument.repeats ? row(path + " ", words, "*") : row(path + " " + std::to_string(i), words);
    }
    return rows;
}

constexpr const char* kWalk = R"sh(
# Files that begin with a word as it was typed: with an open quote, or with a \ before each blank. One a line.
_sanctum_files() {
    local typed=${1#[\'\"]}
    compgen -f -- "${typed//\\/}"
}
# What follows the words so far: $1 is the program, the rest its words up to the cursor.
_sanctum_complete() {
    local path=${1##*/} current=${COMP_WORDS[COMP_CWORD]} word option= values i place=0
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -- && $path == sanctum-run ]]; then
            if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); return; fi
            mapfile -t COMPREPLY < <(compgen -c -f -- "$current")
            return
        fi
        if [[ -n $option && $word == = ]]; then continue; fi
        if [[ -n $option ]]; then option=; continue; fi
        if [[ $word == -* ]]; then
            if [[ -n $(_sanctum_values "$path $word") ]]; then option=$word; fi
        elif [[ " $(_sanctum_words "$path $place") " == *" $word "* && -n $(_sanctum_options "$path $word") ]]; then
            path="$path $word"
            place=0
        else
            ((place += 1))
        fi
    done
    if [[ $current == = ]]; then current=; fi
    if [[ -n $option ]]; then
        values=$(_sanctum_values "$path $option")
    elif [[ $current == -* ]]; then
        values=$(_sanctum_options "$path")
    else
        values=$(_sanctum_words "$path $place")
    fi
    # One word a line: a file's name may hold blanks.
    case $values in
        @file)
            compopt -o filenames 2>/dev/null || true
            mapfile -t COMPREPLY < <(_sanctum_files "$current") ;;
        @profile)
            compopt -o filenames 2>/dev/null || true
            values=$(sanctum check --list 2>/dev/null | grep -xE '[A-Za-z0-9._-]+')
            mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current"; _sanctum_files "$current") ;;
        @mission)
            values=$(sanctum ps --all 2>/dev/null | grep -oE '^[0-9a-z]{26}')
            mapfile -t COMPREPLY < <(compgen -W "last $values" -- "$current") ;;
        @word) ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current") ;;
    esac
}
)sh";

}  // namespace

std::string bash_completion(const std::vector<CommandFacts>& programs) {
    std::string words;
    std::string options;
    std::string values;
    std::string names;
    for (const CommandFacts& program : programs) {
        names += " " + program.name;
        for_each_command(program, program.name, [&](const std::string& path, const CommandFacts& command) {
            words += rows_of_words(command, path);
            std::vector<std::string> all;
            for (const OptionFacts& option : command.options) {
                for (const std::string& name : option.names) {
                    all.push_back(name);
                    if (option.value.empty()) continue;
                    values += row(path + " " + name, words_of_value(kind_of_value(option.value), option.choices));
                }
            }
            options += row(path, joined(all));
        });
    }
    return "# Completion of sanctum and sanctum-run for bash; made by `sanctum completion bash`.\n" +
           table("_sanctum_words", words) + table("_sanctum_options", options) + table("_sanctum_values", values) +
           kWalk + "complete -F _sanctum_complete" + names + "\n";
}

}  // namespace sanctum::console
