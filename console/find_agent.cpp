// SPDX-License-Identifier: Apache-2.0
#include "console/find_agent.hpp"

#include "base/standard_path.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <glob.h>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::console {
namespace {

constexpr std::array kBelowHome = {
    "/.local/bin",           "/bin",       "/.claude/local",          "/.nvm/versions/node/*/bin", "/.npm-global/bin",
    "/.npm/_npx/*/node_modules/.bin", "/.volta/bin", "/.bun/bin", "/.local/share/fnm/node-versions/*/installation/bin"};

// What the sandbox shows of the machine anyway.
constexpr std::array kAlwaysThere = {"/usr/", "/bin/", "/sbin/", "/lib", "/opt/"};

bool is_program(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> expand(const std::string& pattern) {
    glob_t found{};
    std::vector<std::string> out;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) out.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    ::globfree(&found);
    std::reverse(out.begin(), out.end());  // the newest version first
    return out;
}

std::vector<std::string> folders_of(const SearchPlaces& places) {
    std::vector<std::string> folders;
    for (std::string_view rest = places.path; !rest.empty();) {
        const std::size_t colon = rest.find(':');
        if (colon != 0 && rest.front() == '/') folders.emplace_back(rest.substr(0, colon));
        rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    }
    for (const char* below : kBelowHome) {
        for (std::string& folder : expand(places.home + below)) folders.push_back(std::move(folder));
    }
    folders.emplace_back("/usr/local/bin");
    return folders;
}

std::string real_path(const std::string& path) {
    std::array<char, PATH_MAX> real{};
    return ::realpath(path.c_str(), real.data()) != nullptr ? std::string(real.data()) : path;
}

bool is_always_there(const std::string& path) {
    return std::any_of(kAlwaysThere.begin(), kAlwaysThere.end(),
                       [&](std::string_view root) { return path.starts_with(root); });
}

// A program of a package needs its package, and a package the others beside it. Never the folder above: with npm's
// prefix `~/.local` that would show everything that the user keeps in there.
std::string readable_unit(const std::string& real) {
    const std::size_t modules = real.find("/node_modules/");
    return modules == std::string::npos ? real : real.substr(0, modules) + "/node_modules";
}

// A folder of programs beside `lib/node_modules` holds node, npm and the commands of installed packages, which the
// agent's own tool calls need as well.
bool is_folder_of_npm(const std::string& folder) {
    return folder.ends_with("/bin") && ::access((folder.substr(0, folder.size() - 4) + "/lib/node_modules").c_str(),
                                                F_OK) == 0;
}

// `#!/usr/bin/env node` → node, `#!/x/y/node` → /x/y/node; empty: not a script.
std::string interpreter_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string line(256, '\0');
    file.read(line.data(), static_cast<std::streamsize>(line.size()));
    line.resize(static_cast<std::size_t>(file.gcount()));
    if (!line.starts_with("#!")) return {};
    line = line.substr(2, line.find('\n') - 2);
    line.erase(0, line.find_first_not_of(' '));
    static constexpr std::string_view kEnv = "/usr/bin/env ";
    if (line.starts_with(kEnv)) line.erase(0, kEnv.size());
    if (line.starts_with("-S ")) line.erase(0, 3);
    return line.substr(0, line.find(' '));
}

// What must be seen inside so that one program runs there, found while following links and interpreters.
struct Needs {
    std::set<std::string> read;
    std::vector<std::string> path_folders;
};

void add_path_folder(const std::string& folder, Needs& needs) {
    const bool is_standard = (":" + std::string(kStandardPath) + ":").find(":" + folder + ":") != std::string::npos;
    const auto& known = needs.path_folders;
    if (is_standard || std::find(known.begin(), known.end(), folder) != known.end()) return;
    needs.path_folders.push_back(folder);
}

void add_readable(const std::string& path, const SearchPlaces& places, Needs& needs, int depth);

void add_by_name(const std::string& folder, const std::string& name, const SearchPlaces& places, Needs& needs,
                 int depth) {
    add_path_folder(folder, needs);
    if (!is_always_there(folder + "/") && is_folder_of_npm(folder)) {
        needs.read.insert(folder);
        needs.read.insert(folder.substr(0, folder.size() - 4) + "/lib/node_modules");
    }
    add_readable(folder + "/" + name, places, needs, depth);
}

void add_readable(const std::string& path, const SearchPlaces& places, Needs& needs, int depth) {
    const std::string real = real_path(path);
    if (!is_always_there(path)) needs.read.insert(readable_unit(path));
    if (!is_always_there(real)) needs.read.insert(readable_unit(real));
    static constexpr int kInterpretersMax = 3;
    const std::string interpreter = depth < kInterpretersMax ? interpreter_of(real) : std::string();
    if (interpreter.empty()) return;
    if (interpreter.front() == '/') return add_readable(interpreter, places, needs, depth + 1);
    for (const std::string& folder : folders_of(places)) {
        if (is_program(folder + "/" + interpreter)) {
            return add_by_name(folder, interpreter, places, needs, depth + 1);
        }
    }
}

// A folder covers what is below it.
std::vector<std::string> without_covered(const std::set<std::string>& read) {
    std::vector<std::string> out;
    for (const std::string& path : read) {
        const bool is_covered = std::any_of(out.begin(), out.end(),
                                            [&](const std::string& above) { return path.starts_with(above + "/"); });
        if (!is_covered) out.push_back(path);
    }
    return out;
}

// pnpm's commands are such, and many people's own.
bool is_wrapper(const std::string& path) {
    const std::string real = real_path(path);
    if (is_always_there(real) || readable_unit(real) != real) return false;
    const std::string interpreter = interpreter_of(real);
    const std::string name = interpreter.substr(interpreter.rfind('/') + 1);
    return name == "sh" || name == "bash" || name == "dash" || name == "zsh";
}

}  // namespace

FoundProgram find_program(const std::string& name, const SearchPlaces& places) {
    for (const std::string& folder : folders_of(places)) {
        const std::string path = folder + "/" + name;
        if (!is_program(path)) continue;
        Needs needs;
        add_by_name(folder, name, places, needs, 0);
        return {path, without_covered(needs.read), std::move(needs.path_folders), is_wrapper(path)};
    }
    return {};
}

}  // namespace sanctum::console
