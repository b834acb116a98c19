// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/check_grants.hpp"

#include "launcher/plan/plan_mounts.hpp"
#include "launcher/plan/root_places.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>

namespace sanctum::launcher {
namespace {

Error refused(const std::string& what, const std::string& path, const std::string& why) {
    return Error{Errc::InvalidProfile, "sandbox: " + what + " " + path + " " + why};
}

Status check_target(const std::string& what, const std::string& target) {
    for (const char* kernels : {"/proc", "/dev", "/sys", "/run/sanctum"}) {
        if (is_same_or_below(target, kernels)) {
            return refused(what, target, std::string("lies in ") + kernels + ", which every mission has of its own");
        }
    }
    return {};
}

Status check_width(const std::string& what, const std::string& path, const HostFacts& facts) {
    for (const std::string& home : {facts.home, facts.real_home}) {
        const std::optional<profiles::TooWide> wide = profiles::too_wide(path, home);
        if (wide) return refused(what, path, std::string(wide->why) + " (" + wide->remedy + ")");
    }
    return {};
}

Status check_own_folders(const std::string& what, const std::string& path, const HostFacts& facts) {
    for (const std::string& own : facts.sanctum_folders) {
        if (is_same_or_below(own, path) || is_same_or_below(path, own)) {
            return refused(what, path, "holds or lies in Sanctum's own folder " + own);
        }
    }
    return {};
}

/// SECURITY: an agent that can write these decides about its next mission, or runs a program outside of this one.
Status check_operators_files(const std::string& what, const std::string& path, bool is_writable,
                             const HostFacts& facts) {
    for (const std::string& key : facts.key_files) {
        if (is_same_or_below(key, path)) return refused(what, path, "holds the store's key file " + key + " (move it)");
    }
    for (const std::string& secret : facts.secret_files) {
        if (!is_same_or_below(secret, path)) continue;
        return refused(what, path, "holds " + secret + ", which is the credential of an account (move it)");
    }
    for (const std::string& file : facts.operator_files) {
        if (!is_writable || !is_same_or_below(file, path)) continue;
        return refused(what, path, "is writable and holds " + file + ", on which the operator relies (move it)");
    }
    return {};
}

Status check_writable(const std::string& what, const std::string& path, const HostFacts& facts) {
    for (const std::string& program : facts.program_folders) {
        if (is_same_or_below(program, path)) {
            return refused(what, path, "is writable and holds Sanctum's programs in " + program);
        }
    }
    for (const RootPlace& folder : system_folders()) {
        if (is_same_or_below(path, folder.path)) return refused(what, path, "is writable and part of the system");
    }
    if (is_same_or_below(path, "/etc")) return refused(what, path, "is writable and part of the system");
    return {};
}

/// What would lie over something that each mission has of its own there.
Status check_covering(const std::string& what, const profiles::Mount& grant, const HostFacts& facts) {
    const std::string& target = grant.target;
    if (target != grant.source && is_same_or_below(facts.home, target)) {
        return refused(what, target, "would cover the home folder inside");
    }
    const auto& missing = facts.missing_mount_points;
    if (std::find(missing.begin(), missing.end(), target) != missing.end()) {
        return refused(what, target, "is not there, and the place around it is shown read-only as the machine has it "
                                     "(make it on the machine, or name a target elsewhere, as in /mnt)");
    }
    for (const std::string& own : {std::string("/run/sanctum"), facts.ca_bundle}) {
        if (own.empty() || !is_same_or_below(own, target)) continue;
        return refused(what, target, "holds " + own + ", which every mission has of its own (name a smaller folder)");
    }
    if (const auto link = facts.root_links.find(target); link != facts.root_links.end()) {
        return refused(what, target, "is a link to " + link->second + " (name that place itself)");
    }
    return {};
}

Status check_grant(const std::string& what, const profiles::Mount& grant, const HostFacts& facts) {
    const auto found = facts.grants.find(grant.source);
    if (found == facts.grants.end() || found->second.real_path.empty()) {
        return refused(what, grant.source,
                       "does not exist or may not be looked at (named in [sandbox] of the profile or by --mount)");
    }
    const std::string& real = found->second.real_path;
    SANCTUM_CHECK(check_target(what, grant.target));
    SANCTUM_CHECK(check_target(what, real));
    for (const std::string& path : {grant.source, real}) {
        SANCTUM_CHECK(check_width(what, path, facts));
        SANCTUM_CHECK(check_own_folders(what, path, facts));
        SANCTUM_CHECK(check_operators_files(what, path, grant.writable, facts));
        if (grant.writable) {
            SANCTUM_CHECK(check_writable(what, path, facts));
        }
    }
    return check_covering(what, grant, facts);
}

}  // namespace

Status check_grants(const profiles::Mission& mission, const HostFacts& facts) {
    const profiles::Sandbox& sandbox = mission.sandbox;
    const profiles::Mount workspace{sandbox.workspace, sandbox.workspace, sandbox.workspace_writable};
    SANCTUM_CHECK(check_grant("workspace", workspace, facts));
    const bool is_folder = facts.grants.at(sandbox.workspace).is_folder;
    if (!is_folder) return refused("workspace", sandbox.workspace, "is not a folder");
    for (const profiles::Mount& mount : sandbox.mounts) {
        SANCTUM_CHECK(check_grant(mount.writable ? "write" : "read", mount, facts));
    }
    if (sandbox.home == profiles::Home::Kept) {
        const auto store = facts.grants.find(sandbox.home_store);
        if (store == facts.grants.end() || store->second.real_path.empty()) {
            return refused("kept home", sandbox.home_store, "does not exist");
        }
    }
    return {};
}

}  // namespace sanctum::launcher
