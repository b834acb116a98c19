// SPDX-License-Identifier: Apache-2.0
#include "base/runs_later/git_named_places.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/runs_later/git_configuration.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

namespace sanctum::runs_later {
namespace {

namespace fs = std::filesystem;

constexpr int kIncludeDepthMax = 10;  // git-config(1) gives up there, too

bool is_include(const GitVariable& variable) {
    return variable.section == "include" || variable.section == "includeif";
}

// Values that are a path from end to end; those of the others are commands.
bool is_path(const GitVariable& variable) {
    if (is_include(variable)) return true;
    if (variable.section == "init") return variable.name == "templatedir";
    return variable.section == "core" && (variable.name == "hookspath" || variable.name == "attributesfile");
}

// The first word with a slash: `./check`, or `tools/check` in `sh tools/check --all`.
std::optional<std::string> place_in_command(const GitVariable& variable) {
    if (variable.section == "core" && variable.name == "worktree") return std::nullopt;
    std::string_view rest = variable.value;
    const bool is_shell = rest.starts_with('!');
    if (is_shell) rest.remove_prefix(1);
    if (variable.section == "alias" && !is_shell) return std::nullopt;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find_first_of(" \t\n"), rest.size());
        std::string word(rest.substr(0, end));
        std::erase_if(word, [](char c) { return c == '"' || c == '\''; });
        if (word.find('/') != std::string::npos && !word.starts_with('-')) return word;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return std::nullopt;
}

class Places {
public:
    explicit Places(const std::string& workspace) {
        std::error_code error;
        workspace_ = fs::canonical(workspace, error);
        if (error) workspace_ = workspace;
    }

    void take(const fs::path& configuration, std::string_view text, int depth = 0) {
        const auto variables = parse_git_configuration(text);
        if (!variables || depth > kIncludeDepthMax) return;
        if (depth == 0) find_working_trees(configuration.parent_path(), *variables);
        for (const GitVariable& variable : *variables) {
            if (!is_executing(variable)) continue;
            if (is_include(variable)) {
                const std::optional<fs::path> included = add(configuration.parent_path(), variable.value);
                if (included && seen_.insert(*included).second) take_file(*included, depth + 1);
                continue;
            }
            const auto named = is_path(variable) ? std::optional(variable.value) : place_in_command(variable);
            if (!named) continue;
            for (const fs::path& tree : working_trees_) add(tree, *named);
        }
    }

    [[nodiscard]] std::vector<std::string> found() const { return {found_.begin(), found_.end()}; }
    [[nodiscard]] const fs::path& workspace() const { return workspace_; }

private:
    void take_file(const fs::path& file, int depth) {
        const Result<std::string> text = read_file(file.string(), kRunsLaterFileBytesMax);
        if (text) take(file, *text, depth);
    }

    // gitrepository-layout(5): the folder above `.git`, what core.worktree says, and the linked ones.
    void find_working_trees(const fs::path& repository, const std::vector<GitVariable>& variables) {
        working_trees_ = {repository.filename() == ".git" ? repository.parent_path() : repository};
        for (const GitVariable& variable : variables) {
            const bool is_elsewhere = variable.section == "core" && variable.name == "worktree";
            if (is_elsewhere) working_trees_.push_back((repository / variable.value).lexically_normal());
        }
        add_linked_tree(repository);
        std::error_code error;
        fs::directory_iterator linked(repository / "worktrees", error);
        for (; !error && linked != fs::directory_iterator(); linked.increment(error)) add_linked_tree(linked->path());
    }

    void add_linked_tree(const fs::path& repository) {
        Result<std::string> pointer = read_file((repository / "gitdir").string(), kRunsLaterFileBytesMax);
        if (!pointer) return;
        pointer->resize(pointer->find_last_not_of("\r\n") + 1);
        working_trees_.push_back((repository / *pointer).lexically_normal().parent_path());
    }

    // The place as written, and with links resolved as far as it is there: either may be changed. nullopt: it lies
    // outside, where no agent writes.
    std::optional<fs::path> add(const fs::path& base, const std::string& value) {
        if (value.empty() || value.starts_with('~')) return std::nullopt;
        insert((base / value).lexically_normal());
        std::error_code error;
        const fs::path place = fs::weakly_canonical(base / value, error);
        return !error && insert(place) ? std::optional(place) : std::nullopt;
    }

    bool insert(const fs::path& place) {
        const fs::path relative = (place.has_filename() ? place : place.parent_path()).lexically_relative(workspace_);
        if (relative.empty() || relative == "." || *relative.begin() == "..") return false;
        found_.insert(relative.string());
        return true;
    }

    fs::path workspace_;
    std::vector<fs::path> working_trees_;
    std::set<fs::path> seen_;
    std::set<std::string> found_;
};

}  // namespace

std::vector<std::string> places_named_in(const std::string& workspace, const std::string& configuration,
                                         std::string_view text) {
    Places places(workspace);
    places.take(places.workspace() / configuration, text);
    return places.found();
}

}  // namespace sanctum::runs_later
