// SPDX-License-Identifier: Apache-2.0
// zsh: one function per command, each a call of _arguments.
#include "console/completion.hpp"

#include <algorithm>

namespace sanctum::console {
namespace {

// What values need that only the programs know.
constexpr const char* kZshHelpers = R"zsh(
# Made by `sanctum completion zsh`; a file `_sanctum` in fpath, or read with `source` after compinit.
_sanctum_missions() {
    local -a missions=(last ${(f)"$(sanctum ps --all 2>/dev/null | grep -oE '^[0-9a-z]{26}')"})
    _describe mission missions
}
_sanctum_profiles() {
    local names=${(j: :)${(f)"$(sanctum check --list 2>/dev/null | grep -xE '[A-Za-z0-9._-]+')"}}
    _alternative "names:profile:($names)" 'files:file:_files'
}
)zsh";

// Words behind the first `--` are a command line of their own. _arguments takes that word away and sees no command.
constexpr const char* kBehindTwoHyphens = R"zsh(    local -i at=${words[(i)--]}
    if (( at < CURRENT )); then
        shift $at words
        (( CURRENT -= at ))
        _normal
        return
    fi
)zsh";

// Inside single quotes; `[`, `]` and `:` would end a description of _arguments.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\'') out += "'\\''";
        else if (c == '[' || c == ']' || c == ':' || c == '\\') out += std::string("\\") + c;
        else out += c == '\n' ? ' ' : c;
    }
    return out;
}

std::string function_name(std::string path) {
    std::replace(path.begin(), path.end(), ' ', '_');
    return "_" + path;
}

std::string action_of(const std::string& value, const std::vector<std::string>& choices) {
    if (!choices.empty()) {
        std::string out = "(";
        for (const std::string& choice : choices) out += (out.size() > 1 ? " " : "") + choice;
        return out + ")";
    }
    switch (kind_of_value(value)) {
        case ValueKind::File: return "_files";
        case ValueKind::Profile: return "_sanctum_profiles";
        case ValueKind::Mission: return "_sanctum_missions";
        case ValueKind::Word: return " ";
    }
    return " ";
}

std::string option_lines(const CommandFacts& command) {
    std::string out;
    for (const OptionFacts& option : command.options) {
        for (const std::string& name : option.names) {
            out += " \\\n        '" + std::string(option.repeats ? "*" : "") + name + "[" + escaped(option.what) + "]";
            if (!option.value.empty()) {
                out += ":" + escaped(option.value) + ":" + action_of(option.value, option.choices);
            }
            out += "'";
        }
    }
    return out;
}

std::string argument_lines(const CommandFacts& command) {
    std::string out;
    for (const ArgumentFacts& argument : command.arguments) {
        const std::string mark = argument.repeats ? "*" : argument.is_required ? "" : ":";
        out += " \\\n        '" + mark + ":" + escaped(argument.name) + ":" +
               action_of(argument.name, argument.choices) + "'";
    }
    return out;
}

void write_function(std::string& out, const CommandFacts& command, const std::string& path) {
    if (command.commands.empty()) {
        out += function_name(path) + "() {\n" + (command.name == "sanctum-run" ? kBehindTwoHyphens : "") +
               "    _arguments -s" + option_lines(command) + argument_lines(command) + "\n}\n";
        return;
    }
    std::string rows;
    std::string cases;
    for (const CommandFacts& inner : command.commands) {
        rows += "        '" + inner.name + ":" + escaped(inner.what) + "'\n";
        cases += "                " + inner.name + ") " + function_name(path + " " + inner.name) + " ;;\n";
        write_function(out, inner, path + " " + inner.name);
    }
    out += function_name(path) + "() {\n    local state line\n    local -a commands=(\n" + rows +
           "    )\n    _arguments -s -C" + option_lines(command) + " \\\n        '1:command:->command' \\\n" +
           "        '*::argument:->argument'\n    case $state in\n        command) _describe command commands ;;\n" +
           "        argument)\n            case $line[1] in\n" + cases + "            esac ;;\n    esac\n}\n";
}

}  // namespace

std::string zsh_completion(const std::vector<CommandFacts>& programs) {
    std::string names;
    std::string functions;
    std::string cases;
    for (const CommandFacts& program : programs) {
        names += " " + program.name;
        write_function(functions, program, program.name);
        cases += "        " + program.name + ") " + function_name(program.name) + " \"$@\" ;;\n";
    }
    // In a folder of fpath the file is the function _sanctum itself, on first use, so the program's own function may
    // not have that name; read with `source` it only says which function completes.
    std::string out = "#compdef" + names + kZshHelpers;
    const std::string own = "_sanctum() {";
    if (const std::size_t at = functions.rfind("\n" + own); at != std::string::npos) {
        functions.replace(at + 1, own.size(), "_sanctum_program() {");
    }
    const std::string call = ") _sanctum \"$@\"";
    if (const std::size_t at = cases.find(call); at != std::string::npos) {
        cases.replace(at, call.size(), ") _sanctum_program \"$@\"");
    }
    return out + functions + "_sanctum_programs() {\n    case $service in\n" + cases + "    esac\n}\n" +
           "if [[ $funcstack[1] == _sanctum ]]; then\n    _sanctum_programs \"$@\"\n" +
           "elif (( $+functions[compdef] )); then\n    compdef _sanctum_programs" + names + "\nfi\n";
}

}  // namespace sanctum::console
