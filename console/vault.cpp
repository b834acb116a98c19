// SPDX-License-Identifier: Apache-2.0
// `sanctum vault …` and `sanctum connect …`: this program becomes `sanctum-vault`, so that no secret ever passes
// through it.
#include "console/commands.hpp"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace sanctum::console {

namespace {

// Returns only when it failed.
Exit become_vault(Console& console, const std::string& mode, const std::vector<std::string>& arguments) {
    const std::string program = console.places.vault();
    std::vector<std::string> words = {"sanctum-vault", mode};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    console.out.flush();
    console.err.flush();
    ::execv(program.c_str(), argv.data());
    return fail(console, program + ": " + std::strerror(errno) + " (is Sanctum installed as a whole?)",
                Exit::Unreachable);
}

}  // namespace

Exit run_vault(Console& console, const std::vector<std::string>& arguments) {
    return become_vault(console, "store", arguments);
}

Exit run_connect(Console& console, const ConnectOptions& options) {
    std::vector<std::string> arguments;
    for (const std::string& scope : options.scopes) {
        arguments.emplace_back("--scopes");
        arguments.push_back(scope);
    }
    const auto pass_on = [&](const char* name, const std::string& value) {
        if (!value.empty()) arguments.insert(arguments.end(), {name, value});
    };
    pass_on("--flow", options.flow);
    pass_on("--port", options.port == 0 ? "" : std::to_string(options.port));
    pass_on("--unlock", options.unlock);
    if (options.has_no_browser) arguments.emplace_back("--no-browser");
    if (options.is_dry) arguments.emplace_back("--dry-run");
    arguments.insert(arguments.end(), {"--", options.account});
    return become_vault(console, "connect", arguments);
}

}  // namespace sanctum::console
