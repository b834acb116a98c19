// SPDX-License-Identifier: Apache-2.0
// `sanctum vault …`: becomes `sanctum-vault store …`, so that no secret ever passes through this program.
#include "console/commands.hpp"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace sanctum::console {

Exit run_vault(Console& console, const std::vector<std::string>& arguments) {
    const std::string program = console.places.vault();
    std::vector<std::string> words = {"sanctum-vault", "store"};
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

}  // namespace sanctum::console
