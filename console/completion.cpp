// SPDX-License-Identifier: Apache-2.0
// `sanctum completion SHELL` and `sanctum manual PAGE`.
#include "console/completion.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "console/commands.hpp"
#include "console/run_program.hpp"
#include "profiles/schema/resolve.hpp"

#include <algorithm>
#include <array>

namespace sanctum::console {
namespace {

constexpr std::array<std::string_view, 5> kFileWords = {"FILE", "PATH", "DIR", "FOLDER", "SRC"};

Result<CommandFacts> ask(const std::string& program, std::vector<std::string> arguments) {
    arguments.emplace_back(kDescribeOption);
    Result<ProgramEnd> end = run_program(program, arguments, ErrorStream::Inherited, kDescriptionBytesMax);
    if (!end && end.error().code == Errc::NotFound) end.error().what += " (is Sanctum installed as a whole?)";
    if (!end) return std::move(end).error();
    if (end->code != 0) return Error{Errc::Io, program + " ended with code " + std::to_string(end->code)};
    Result<CommandFacts> facts = wire::from_json<CommandFacts>(end->output);
    if (!facts) return std::move(facts).error().in(program + " says something else than this build");
    return facts;
}

}  // namespace

Result<std::vector<CommandFacts>> all_command_lines(const Console& console, CommandFacts own) {
    SANCTUM_TRY(CommandFacts vault, ask(console.places.vault(), {"store"}));
    SANCTUM_TRY(CommandFacts run, ask(console.places.launcher(), {}));
    for (CommandFacts& command : own.commands) {
        if (command.name != "vault") continue;
        vault.name = "vault";
        command = std::move(vault);
    }
    std::vector<CommandFacts> programs;
    programs.push_back(std::move(own));
    programs.push_back(std::move(run));
    return programs;
}

ValueKind kind_of_value(const std::string& name) {
    if (name == "MISSION") return ValueKind::Mission;
    if (name.find("FILE|NAME") != std::string::npos) return ValueKind::Profile;
    const bool is_file = std::any_of(kFileWords.begin(), kFileWords.end(),
                                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
    return is_file ? ValueKind::File : ValueKind::Word;
}

Exit run_completion(Console& console, const std::string& shell, CommandFacts own) {
    const Result<std::vector<CommandFacts>> programs = all_command_lines(console, std::move(own));
    if (!programs) return fail(console, programs.error().what, Exit::Unreachable);
    console.out << (shell == "bash" ? bash_completion(*programs)
                    : shell == "zsh" ? zsh_completion(*programs)
                                     : fish_completion(*programs));
    return Exit::Ok;
}

Exit run_manual(Console& console, const std::string& page, CommandFacts own) {
    for (const FormatPage& format : {FormatPage{.name = "sanctum-profile",
                                                .what = "what one mission may do (mission.toml)",
                                                .json_schema = profiles::profile_json_schema()},
                                     FormatPage{.name = "sanctum-config",
                                                .what = "what the operator lets missions use (config.toml)",
                                                .json_schema = profiles::configuration_json_schema()}}) {
        if (format.name != page) continue;
        const Result<std::string> text = manual_of_format(format);
        if (!text) return fail(console, text.error());
        console.out << *text;
        return Exit::Ok;
    }
    const Result<std::vector<CommandFacts>> programs = all_command_lines(console, std::move(own));
    if (!programs) return fail(console, programs.error().what, Exit::Unreachable);
    for (const CommandFacts& program : *programs) {
        if (program.name == page) console.out << manual_of_program(program);
    }
    return Exit::Ok;
}

}  // namespace sanctum::console
