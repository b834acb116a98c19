// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/pinned_folders.hpp"

#include "launcher/plan/plan_mounts.hpp"

#include <map>

namespace sanctum::launcher {
namespace {

// The grant that shows what is around `path`; the one that `path` itself is the target of does not count.
const profiles::Mount* innermost_around(const std::vector<profiles::Mount>& grants, const std::string& path) {
    const profiles::Mount* found = nullptr;
    for (const profiles::Mount& grant : grants) {
        if (grant.target == path || !is_same_or_below(path, grant.target)) continue;
        if (found == nullptr || grant.target.size() > found->target.size()) found = &grant;
    }
    return found;
}

}  // namespace

std::vector<PinnedFolder> pinned_folders(const std::vector<profiles::Mount>& grants,
                                         const std::vector<std::string>& guarded) {
    std::map<std::string, PinnedFolder> folders;
    for (const std::string& path : guarded) {
        const profiles::Mount* grant = innermost_around(grants, path);
        if (grant == nullptr || !grant->writable) continue;
        for (std::size_t slash = path.find('/', grant->target.size() + 1); slash != std::string::npos;
             slash = path.find('/', slash + 1)) {
            const std::string target = path.substr(0, slash);
            const std::string source = grant->source + target.substr(grant->target.size());
            folders.emplace(target, PinnedFolder{source, target, grant->source});
        }
    }
    std::vector<PinnedFolder> sorted;
    for (auto& [target, folder] : folders) sorted.push_back(std::move(folder));
    return sorted;
}

}  // namespace sanctum::launcher
