// SPDX-License-Identifier: Apache-2.0
#include "profiles/policy/git.hpp"

#include "base/limits.hpp"
#include "profiles/policy/patterns.hpp"
#include "profiles/schema/diagnostics.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

constexpr std::string_view kAdvertise = "/info/refs";
constexpr std::string_view kFetch = "/git-upload-pack";
constexpr std::string_view kPush = "/git-receive-pack";
constexpr std::string_view kLfsBatch = "/info/lfs/objects/batch";

// A repository's path: whole segments, none empty, nothing that a server could read as another place.
bool is_repository(std::string_view repo) {
    if (repo.empty() || repo.find('%') != std::string_view::npos) return false;
    while (true) {
        const std::size_t slash = repo.find('/');
        const std::string_view segment = repo.substr(0, slash);
        if (segment.empty() || segment == "." || segment == "..") return false;
        if (slash == std::string_view::npos) return true;
        repo.remove_prefix(slash + 1);
    }
}

std::optional<GitMatch> match_at(GitRequest kind, std::string_view path, std::string_view ending,
                                 std::string_view suffix) {
    if (!path.starts_with('/') || !path.ends_with(ending) || path.size() <= ending.size()) return std::nullopt;
    std::string_view repo = path.substr(1, path.size() - ending.size() - 1);
    if (!suffix.empty() && repo.size() > suffix.size() && repo.ends_with(suffix)) repo.remove_suffix(suffix.size());
    if (!is_repository(repo)) return std::nullopt;
    return GitMatch{kind, std::string(repo)};
}

using Sets = std::vector<std::vector<std::string>>;

Sets sets_of(const OperationMatch& match) {
    Sets out;
    for (const auto& set : match.any_of) out.emplace_back(set.begin(), set.end());
    return out;
}

// Every way to be allowed both: each set of one joined with each set of the other.
Sets both(const Sets& a, const Sets& b) {
    Sets out;
    for (const auto& x : a) {
        for (const auto& y : b) {
            std::vector<std::string> joined = x;
            joined.insert(joined.end(), y.begin(), y.end());
            std::sort(joined.begin(), joined.end());
            joined.erase(std::unique(joined.begin(), joined.end()), joined.end());
            out.push_back(std::move(joined));
        }
    }
    return out;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    const std::size_t at = text.find(what);
    if (at != std::string::npos) text.replace(at, what.size(), with);
    return text;
}

// What the commands of a push need on top of `push`. An entry that does not name the operation cannot allow it.
void add_need(const CompiledEntry& entry, std::string_view id, Operation& operation) {
    const std::optional<OperationMatch> extra = entry.operation(id);
    if (!extra || !extra->is_scoped) {
        operation.is_known = false;
        return;
    }
    operation.needed = both(operation.needed, sets_of(*extra));
    operation.risk = std::max(operation.risk, extra->risk);
}

// A push's commands say old id, new id and name of each ref, but not whether the new commit descends from the old
// one: that takes the history, which only the server has. So an update of an existing ref *may* rewrite it.
// SECURITY: such an update is allowed by `push` where the profile or the account names the refs (they are the
// mission's own, rewriting included); where refs are unbounded it needs `push:force`, which says that rewriting any
// branch is accepted.
void add_ref_updates(const Service& service, const CompiledEntry& entry, const std::vector<RefUpdate>& updates,
                     Operation& operation) {
    bool has_delete = false;
    bool has_update = false;
    std::vector<std::string>& refs = operation.resources["ref"];
    for (const RefUpdate& update : updates) {
        refs.push_back(update.name);
        has_delete = has_delete || update.is_delete();
        has_update = has_update || (!update.is_delete() && !update.is_create());
    }
    std::sort(refs.begin(), refs.end());
    refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
    if (updates.empty()) operation.resources.erase("ref");
    if (has_delete) add_need(entry, "git.push:delete", operation);
    if (has_update && !has_bounded_refs(service)) add_need(entry, "git.push:force", operation);
    if (updates.size() > kRefUpdatesMax) operation.is_known = false;
}

std::string list_of(const std::vector<std::string>& refs) {
    constexpr std::size_t kShown = 5;
    std::string out;
    for (std::size_t i = 0; i < refs.size() && i < kShown; ++i) out += (i > 0 ? ", " : "") + printable(refs[i]);
    if (refs.size() > kShown) out += " and " + std::to_string(refs.size() - kShown) + " more";
    return out;
}

}  // namespace

std::optional<GitMatch> match_git(std::string_view method, std::string_view path, std::string_view query,
                                  std::string_view repo_suffix) {
    if (method == "GET" && path.ends_with(kAdvertise)) {
        if (query == "service=git-upload-pack") {
            return match_at(GitRequest::AdvertiseFetch, path, kAdvertise, repo_suffix);
        }
        if (query == "service=git-receive-pack") {
            return match_at(GitRequest::AdvertisePush, path, kAdvertise, repo_suffix);
        }
    }
    if (method != "POST" || !query.empty()) return std::nullopt;
    if (path.ends_with(kFetch)) return match_at(GitRequest::Fetch, path, kFetch, repo_suffix);
    if (path.ends_with(kPush)) return match_at(GitRequest::Push, path, kPush, repo_suffix);
    if (path.ends_with(kLfsBatch)) return match_at(GitRequest::LfsBatch, path, kLfsBatch, repo_suffix);
    return std::nullopt;
}

bool has_bounded_refs(const Service& service) {
    const auto is_bounded = [](const std::map<std::string, std::vector<std::string>>& resources) {
        const auto refs = resources.find("ref");
        return refs != resources.end() &&
               std::none_of(refs->second.begin(), refs->second.end(), [](const std::string& pattern) {
                   return pattern == "refs/**" || pattern == "refs/heads/**" || pattern == "refs/*/**" ||
                          pattern == "refs/heads/*";
               });
    };
    return is_bounded(service.resources) || is_bounded(service.account_resources);
}

void classify_git(const Service& service, const Endpoint& endpoint, const CompiledEntry& entry, const Request& request,
                  std::string_view path, Operation& operation) {
    const std::optional<GitMatch> git = match_git(request.method, path, request.query, endpoint.repo_suffix);
    if (!git) return;
    const bool is_push = git->kind == GitRequest::AdvertisePush || git->kind == GitRequest::Push;
    const bool is_batch = git->kind == GitRequest::LfsBatch;
    std::string id = is_push ? "git.push" : "git.fetch";
    if (is_batch) id = request.lfs_operation == "upload" ? "git.lfs:upload" : "git.lfs:download";
    const std::optional<OperationMatch> match = entry.operation(id);
    if (!match && is_batch) return;
    operation.id = std::move(id);
    if (!match) return;
    operation.is_known = match->is_scoped;
    operation.needed = sets_of(*match);
    operation.risk = match->risk;
    for (const auto& [name, value] : match->resources) {
        if (value.find("{ref}") == std::string::npos) {
            operation.resources[std::string(name)] = {replaced(value, "{repo}", git->repo)};
        }
    }
    operation.says = replaced(std::string(match->says), "{repo}", printable(git->repo));
    operation.redact.assign(match->redact.begin(), match->redact.end());
    operation.needs_lfs_operation = is_batch && request.lfs_operation.empty();
    // The advertisement reads refs; what will be pushed is judged when the commands are there.
    if (git->kind == GitRequest::AdvertisePush) operation.risk = Risk::Low;
    if (git->kind != GitRequest::Push) return;
    operation.needs_push_commands = !request.ref_updates;
    if (!request.ref_updates) return;
    add_ref_updates(service, entry, *request.ref_updates, operation);
    const auto refs = operation.resources.find("ref");
    if (refs != operation.resources.end()) operation.says += ": " + list_of(refs->second);
}

}  // namespace sanctum::profiles
