// SPDX-License-Identifier: Apache-2.0
#include "console/git_settings.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/runs_later/git_configuration.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <unistd.h>

namespace sanctum::console {
namespace {

using runs_later::GitVariable;

// Sections of names, habits and programs of the machine. Every other one (credential, http, url, include, sendemail,
// those of extensions) may hold a password, or lead to a file that does.
constexpr std::array<std::string_view, 27> kHarmless = {
    "advice", "apply",  "author", "branch", "color",  "column", "commit", "committer", "core",
    "diff",   "fetch",  "filter", "gpg",    "grep",   "help",   "init",   "log",       "merge",
    "pager",  "pull",   "push",   "rebase", "rerere", "safe",   "status", "tag",    "user"};

struct Key {
    std::string_view section;
    std::string_view name;
};
constexpr std::array<Key, 4> kNamesAPlace = {
    Key{"core", "hookspath"}, {"core", "attributesfile"}, {"core", "excludesfile"}, {"commit", "template"}};

bool is_harmless(const GitVariable& variable) {
    return std::find(kHarmless.begin(), kHarmless.end(), variable.section) != kHarmless.end();
}

bool names_a_place(const GitVariable& variable) {
    return std::any_of(kNamesAPlace.begin(), kNamesAPlace.end(), [&](const Key& key) {
        return key.section == variable.section && key.name == variable.name;
    });
}

class Search {
public:
    explicit Search(std::string home) : home_(std::move(home)) {}

    void look_at(const std::string& path) {
        const std::string whole = home_ + path.substr(1);
        if (::access(whole.c_str(), F_OK) != 0) return;
        found_.read.push_back(path);
        const Result<std::string> text = read_file(whole, kSmallFileBytesMax);
        if (!text) return doubt(path);
        const Result<std::vector<GitVariable>> variables = runs_later::parse_git_configuration(*text);
        if (!variables) return doubt(path);
        for (const GitVariable& variable : *variables) {
            if (!is_harmless(variable)) doubt(variable.section + "." + variable.name);
            if (names_a_place(variable)) add_place(variable.value);
        }
    }
    GitSettings take() {
        found_.doubts.assign(doubts_.begin(), doubts_.end());
        return std::move(found_);
    }

private:
    void doubt(const std::string& what) { doubts_.insert(what); }

    // A relative one lies in the repository.
    void add_place(const std::string& written) {
        if (!written.starts_with("~/") && !written.starts_with('/')) return;
        const profiles::Parsed<std::string> path = profiles::parse_path(written, home_, home_);
        const auto* whole = std::get_if<std::string>(&path);
        if (whole == nullptr || profiles::too_wide(*whole, home_) || ::access(whole->c_str(), F_OK) != 0) return;
        if (places_.insert(*whole).second) found_.read.push_back(written);
    }

    std::string home_;
    GitSettings found_;
    std::set<std::string> places_;
    std::set<std::string> doubts_;
};

}  // namespace

GitSettings find_git_settings(const std::string& home) {
    if (!home.starts_with('/')) return {};
    Search search(home);
    search.look_at("~/.gitconfig");
    search.look_at("~/.config/git/config");
    return search.take();
}

}  // namespace sanctum::console
