// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/github_tokens.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::vault {
namespace {

constexpr std::string_view kRefreshToken = "ghr_";  // what GitHub's refresh tokens begin with
constexpr std::size_t kWords = 3;  // of a line of ours

bool is_token(std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::optional<std::int64_t> milliseconds_of(std::string_view word) {
    std::int64_t value = 0;
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (problem != std::errc() || end != word.data() + word.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

Result<GithubTokens> parse_github_item(const Secret& item) {
    const Error neither{Errc::Protocol, "is neither a user's token of a GitHub App nor a refresh token (ghr_…)"};
    std::vector<std::string_view> words;
    std::string_view rest = item.reveal();
    while (words.size() <= kWords) {
        const std::size_t space = rest.find(' ');
        words.push_back(rest.substr(0, space));
        if (space == std::string_view::npos) break;
        rest.remove_prefix(space + 1);
    }
    if (!std::all_of(words.begin(), words.end(), is_token)) return neither;
    GithubTokens tokens;
    if (words.size() == 1) {
        (words[0].starts_with(kRefreshToken) ? tokens.refresh : tokens.access) = Secret(words[0]);
        return tokens;
    }
    const std::optional<std::int64_t> ends = words.size() == kWords ? milliseconds_of(words[2]) : std::nullopt;
    if (!ends) return neither;
    tokens.refresh = Secret(words[0]);
    tokens.access = Secret(words[1]);
    if (*ends != 0) tokens.ends = WallTime{*ends};
    return tokens;
}

Secret github_item(const GithubTokens& tokens) {
    const std::string ends = std::to_string(tokens.ends ? tokens.ends->unix_ms : 0);
    std::string line;
    line.reserve(tokens.refresh.size() + tokens.access.size() + ends.size() + 2);  // growing would leave copies
    line.append(tokens.refresh.reveal()).append(" ").append(tokens.access.reveal()).append(" ").append(ends);
    Secret item(line);
    wipe(line);
    return item;
}

}  // namespace sanctum::vault
