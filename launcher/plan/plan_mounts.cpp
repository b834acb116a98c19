// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/plan_mounts.hpp"

#include "base/limits.hpp"
#include "launcher/plan/check_grants.hpp"
#include "launcher/plan/fixed_places.hpp"
#include "launcher/plan/pinned_folders.hpp"
#include "launcher/plan/root_places.hpp"

#include <algorithm>
#include <set>

namespace sanctum::launcher {
namespace {

constexpr std::uint32_t kEverybody = 0777;
constexpr std::uint32_t kSticky = 01777;
constexpr std::uint32_t kPrivate = 0700;
constexpr std::uint32_t kReadable = 0444;

bool exists(const HostFacts& facts, std::string_view path) {
    return std::find(facts.existing_roots.begin(), facts.existing_roots.end(), path) != facts.existing_roots.end();
}

/// Builds the list; one function per stanza.
class Steps {
public:
    Steps(SandboxPlan& plan, const HostFacts& facts) : plan_(plan), facts_(facts) {}

    void add(MountStep step) { plan_.mounts.push_back(std::move(step)); }

    void bind(MountKind kind, std::string source, std::string target, std::string reason, bool idmapped = false) {
        MountStep step;
        step.kind = kind;
        step.source = std::move(source);
        step.target = std::move(target);
        step.idmapped = idmapped;
        step.reason = std::move(reason);
        add(std::move(step));
    }

    void link(std::string target, std::string to, std::string reason) {
        bind(MountKind::Symlink, std::move(to), std::move(target), std::move(reason));
    }

    void file(std::string target, std::string content, std::string reason) {
        MountStep step;
        step.kind = MountKind::File;
        step.target = std::move(target);
        step.content = std::move(content);
        step.mode = kReadable;
        step.reason = std::move(reason);
        add(std::move(step));
    }

    void scratch(std::string target, std::uint32_t mode, std::string reason) {
        MountStep step;
        step.kind = MountKind::Tmpfs;
        step.target = std::move(target);
        step.bytes_max = kScratchBytesMax;
        step.mode = mode;
        step.reason = std::move(reason);
        add(std::move(step));
    }

    void mark(MountKind kind, std::string target, std::string reason) {
        MountStep step;
        step.kind = kind;
        step.target = std::move(target);
        step.reason = std::move(reason);
        add(std::move(step));
    }

    /// A place of every machine: as the symbolic link that it is there, or read-only.
    void system_place(const RootPlace& place) {
        const std::string path(place.path);
        const auto found = facts_.root_links.find(path);
        if (found != facts_.root_links.end()) link(path, found->second, place.reason);
        else if (exists(facts_, path)) bind(MountKind::BindReadOnly, path, path, place.reason);
    }

private:
    SandboxPlan& plan_;
    const HostFacts& facts_;
};

/// The agent's own line comes first: it wins where its name or number is one of the others'.
std::string passwd_of(const SandboxPlan& plan) {
    return plan.user_name + ":x:" + std::to_string(plan.inside_uid) + ":" + std::to_string(plan.inside_gid) + ":" +
           plan.user_name + ":" + plan.home + ":/bin/sh\n" +
           "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
           "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
}

std::string group_of(const SandboxPlan& plan) {
    return plan.user_name + ":x:" + std::to_string(plan.inside_gid) + ":\nroot:x:0:\nnogroup:x:65534:\n";
}

/// The trust bundle grows by the mission's authority before the command runs; the other names of distributions for it
/// are links. The folder is hashed, as OpenSSL looks certificates up there.
void add_trust(Steps& steps, const HostFacts& facts) {
    MountStep bundle;
    bundle.kind = MountKind::CopiedFile;
    bundle.source = facts.ca_bundle;
    bundle.target = kTrustBundle;
    bundle.mode = kReadable;
    bundle.reason = "trusted roots, the mission's authority among them";
    steps.add(std::move(bundle));
    for (const char* name : {"/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cert.pem",
                             "/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"}) {
        steps.link(name, kTrustBundle, "the same by another distribution's name");
    }
}

/// Some programs read lists of their own. They are made when the mission's authority is known; until then the files are
/// empty.
void add_lists_of_their_own(Steps& steps, const HostFacts& facts) {
    for (const char* policy : kBrowserPolicies) steps.file(policy, "", "the mission's authority for browsers");
    if (facts.java_trust_stores.empty()) return;
    steps.file(kJavaTrustStore, "", "trusted roots as Java reads them");
    for (const std::string& store : facts.java_trust_stores) {
        if (store.starts_with("/etc/")) steps.link(store, kJavaTrustStore, "Java's list of roots");
        else steps.bind(MountKind::ShownFile, kJavaTrustStore, store, "Java's list of roots");
    }
}

void add_settings(Steps& steps, const SandboxPlan& plan, const HostFacts& facts) {
    steps.file("/etc/passwd", passwd_of(plan), "who is who");
    steps.file("/etc/group", group_of(plan), "who is who");
    steps.file("/etc/hosts", std::string("127.0.0.1 localhost ") + kHostName + "\n::1 localhost " + kHostName + "\n",
               "names of this place");
    steps.file("/etc/hostname", std::string(kHostName) + "\n", "names of this place");
    steps.file("/etc/resolv.conf", std::string("nameserver ") + kNameServer + "\n",
        "Sanctum answers every server address");
    steps.file("/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
               "no machine-wide name services");
    steps.link("/etc/mtab", "/proc/self/mounts", "programs that look for mounts");
    for (const RootPlace& place : system_settings()) steps.system_place(place);
    add_trust(steps, facts);
    add_lists_of_their_own(steps, facts);
}

void add_devices(Steps& steps, const HostFacts& facts) {
    for (const RootPlace& node : device_nodes()) {
        steps.bind(MountKind::Device, std::string(node.path), std::string(node.path), node.reason);
    }
    if (!facts.terminal_path.empty()) {
        // ttyname(3) looks in /dev for the node of descriptor 0; the agent's own /dev/pts does not have it.
        steps.bind(MountKind::Device, facts.terminal_path, "/dev/console", "the name of the caller's terminal");
    }
    steps.mark(MountKind::Terminals, "/dev/pts", "terminals of its own");
    steps.link("/dev/ptmx", "pts/ptmx", "terminals of its own");
    steps.link("/dev/fd", "/proc/self/fd", "own descriptors by name");
    steps.link("/dev/stdin", "/proc/self/fd/0", "own descriptors by name");
    steps.link("/dev/stdout", "/proc/self/fd/1", "own descriptors by name");
    steps.link("/dev/stderr", "/proc/self/fd/2", "own descriptors by name");
    steps.scratch("/dev/shm", kSticky, "shared memory by name");
}

void add_proc(Steps& steps, const HostFacts& facts) {
    steps.mark(MountKind::Proc, "/proc", "its own processes");
    for (const RootPlace& place : read_only_in_proc()) {
        if (exists(facts, place.path)) steps.mark(MountKind::ReadOnlyInside, std::string(place.path), place.reason);
    }
    for (const RootPlace& place : hidden_in_proc()) {
        if (!exists(facts, place.path)) continue;
        const bool is_folder = place.path == "/proc/acpi" || place.path == "/proc/scsi";
        steps.mark(is_folder ? MountKind::MaskFolder : MountKind::MaskFile, std::string(place.path), place.reason);
    }
}

void add_scratch(Steps& steps, const SandboxPlan& plan, const profiles::Mission& mission, const HostFacts& facts) {
    steps.scratch("/tmp", kSticky, "temporary files");
    steps.link("/var/tmp", "/tmp", "temporary files");
    steps.link("/var/run", "/run", "the old name");
    if (mission.sandbox.home == profiles::Home::Fresh) {
        steps.scratch(plan.home, kPrivate, "a home that ends with the mission");
        return;
    }
    const GrantFacts& store = facts.grants.at(mission.sandbox.home_store);
    steps.bind(MountKind::Bind, store.real_path, plan.home, "the agent's kept home", store.owner == 0);
}

std::vector<profiles::Mount> grants_of(const profiles::Mission& mission) {
    std::vector<profiles::Mount> grants = mission.sandbox.mounts;
    grants.push_back({mission.sandbox.workspace, mission.sandbox.workspace, mission.sandbox.workspace_writable});
    return grants;
}

/// Everywhere a place of the machine is seen inside: below each grant that holds it, unless another grant lies on top.
std::set<std::string> inside_paths(const std::string& path, const profiles::Mission& mission) {
    const std::vector<profiles::Mount> grants = grants_of(mission);
    std::set<std::string> paths;
    for (const profiles::Mount& grant : grants) {
        if (!is_same_or_below(path, grant.source)) continue;
        const std::string inside = grant.target + path.substr(grant.source.size());
        const bool is_covered = std::any_of(grants.begin(), grants.end(), [&](const profiles::Mount& other) {
            return other.target.size() > grant.target.size() && is_same_or_below(inside, other.target);
        });
        if (!is_covered) paths.insert(inside);
    }
    return paths;
}

bool shares_its_places(const profiles::Mission& mission) { return mission.delegate || !mission.parent.empty(); }

/// A file that runs later, at one place inside where the agent could write it.
struct GuardedPlace {
    std::string source;  ///< on the machine, without symbolic links
    std::string target;
    bool idmapped = false;
};

/// Every such place. By real paths: a grant may be given through a link, or one folder by two grants.
std::vector<GuardedPlace> guarded_places(const SandboxPlan& plan, const profiles::Mission& mission,
                                         const HostFacts& facts) {
    const std::vector<profiles::Mount> grants = grants_of(mission);
    std::vector<GuardedPlace> places;
    for (const std::string& path : plan.runs_later_existing) {
        for (const profiles::Mount& grant : grants) {
            const GrantFacts& place = facts.grants.at(grant.source);
            if (!grant.writable || place.real_path.empty() || !is_same_or_below(path, place.real_path)) continue;
            const std::string inside = grant.target + path.substr(place.real_path.size());
            const bool is_covered = std::any_of(grants.begin(), grants.end(), [&](const profiles::Mount& other) {
                return other.target.size() > grant.target.size() && is_same_or_below(inside, other.target);
            });
            if (!is_covered) places.push_back({path, inside, plan.map_by_parent && place.owner == 0});
        }
    }
    return places;
}

/// Folders that must stay in place because a cover lies below: a mount point cannot be renamed away. Missions that
/// share their places pin them for all that they cover in the same way.
std::vector<PinnedFolder> folders_to_pin(const SandboxPlan& plan, const profiles::Mission& mission,
                                         const HostFacts& facts) {
    const std::vector<profiles::Mount> grants = grants_of(mission);
    std::vector<std::string> guarded;
    for (const GuardedPlace& place : guarded_places(plan, mission, facts)) guarded.push_back(place.target);
    if (!shares_its_places(mission)) return pinned_folders(grants, guarded);
    for (const profiles::Mount& grant : grants) guarded.push_back(grant.target);
    for (const auto* places : {&facts.sockets, &facts.secrets}) {
        for (const std::string& place : *places) {
            const std::string path = place.ends_with('/') ? place.substr(0, place.size() - 1) : place;
            for (const std::string& inside : inside_paths(path, mission)) guarded.push_back(inside);
        }
    }
    return pinned_folders(grants, guarded);
}

/// Everything granted, the outer ones first so that an inner one lies on top.
void add_grants(Steps& steps, SandboxPlan& plan, const profiles::Mission& mission, const HostFacts& facts) {
    struct Granted {
        std::string source, target;
        const char* reason;
        bool writable, idmapped;
    };
    std::vector<Granted> places;
    std::vector<profiles::Mount> grants = grants_of(mission);
    std::stable_sort(grants.begin(), grants.end(), [](const profiles::Mount& left, const profiles::Mount& right) {
        return left.target.size() < right.target.size();
    });
    for (const profiles::Mount& grant : grants) {
        const GrantFacts& place = facts.grants.at(grant.source);
        const char* reason = grant.source == mission.sandbox.workspace ? "workspace" : "granted by the profile";
        places.push_back({place.real_path, grant.target, reason, grant.writable,
                          plan.map_by_parent && place.owner == 0});
        (grant.writable ? plan.landlock_write : plan.landlock_read).push_back(grant.target);
    }
    const char* pinned = shares_its_places(mission) ? "holds a place that child missions share: stays in place"
                                                    : "holds a file that runs later: stays in place";
    for (const PinnedFolder& folder : folders_to_pin(plan, mission, facts)) {
        const GrantFacts& place = facts.grants.at(folder.grant);
        places.push_back({place.real_path + folder.source.substr(folder.grant.size()), folder.target,
                          pinned, true, plan.map_by_parent && place.owner == 0});
    }
    std::stable_sort(places.begin(), places.end(), [](const Granted& left, const Granted& right) {
        return left.target.size() < right.target.size();
    });
    for (const Granted& place : places) {
        steps.bind(place.writable ? MountKind::Bind : MountKind::BindReadOnly, place.source, place.target, place.reason,
                   place.idmapped);
    }
}

void add_masks(Steps& steps, const profiles::Mission& mission, const HostFacts& facts) {
    const auto is_granted_by_name = [&](const std::string& path) {
        return std::any_of(mission.sandbox.mounts.begin(), mission.sandbox.mounts.end(),
                           [&](const profiles::Mount& grant) { return grant.source == path; });
    };
    for (const std::string& socket : facts.sockets) {
        for (const std::string& inside : inside_paths(socket, mission)) {
            steps.mark(MountKind::MaskFile, inside, "a socket of the machine");
        }
    }
    for (const std::string& secret : facts.secrets) {
        const bool is_folder = secret.ends_with('/');
        const std::string path = is_folder ? secret.substr(0, secret.size() - 1) : secret;
        if (is_granted_by_name(path)) continue;
        for (const std::string& inside : inside_paths(path, mission)) {
            steps.mark(is_folder ? MountKind::MaskFolder : MountKind::MaskFile, inside,
                       "a place of secrets that the profile does not name");
        }
    }
}

/// Read-only binds on what somebody runs later.
void add_files_that_run_later(Steps& steps, const SandboxPlan& plan, const profiles::Mission& mission,
                              const HostFacts& facts) {
    for (const GuardedPlace& place : guarded_places(plan, mission, facts)) {
        steps.bind(MountKind::BindReadOnly, place.source, place.target, "runs later, outside", place.idmapped);
    }
}

void choose_landlock_paths(SandboxPlan& plan, const HostFacts& facts) {
    for (const RootPlace& folder : system_folders()) {
        const std::string path(folder.path);
        if (exists(facts, path) && !facts.root_links.contains(path)) plan.landlock_read.push_back(path);
    }
    plan.landlock_read.insert(plan.landlock_read.end(), {"/etc", "/run"});
    // Nodes of /dev and entries of /proc are written to (terminals, thread names); the mounts say which.
    plan.landlock_write.insert(plan.landlock_write.end(), {"/dev", "/proc", "/tmp", plan.home});
}

}  // namespace

bool is_same_or_below(std::string_view path, std::string_view folder) {
    if (folder == "/") return true;
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Status plan_mounts(SandboxPlan& plan, const profiles::Mission& mission, const HostFacts& facts) {
    SANCTUM_CHECK(check_grants(mission, facts));
    Steps steps(plan, facts);
    for (const RootPlace& folder : system_folders()) steps.system_place(folder);
    add_settings(steps, plan, facts);
    add_devices(steps, facts);
    add_proc(steps, facts);
    add_scratch(steps, plan, mission, facts);
    add_grants(steps, plan, mission, facts);
    add_files_that_run_later(steps, plan, mission, facts);
    add_masks(steps, mission, facts);
    if (facts.sockets.size() + facts.secrets.size() + plan.runs_later_existing.size() > kGuardedPlacesMax) {
        return Error{Errc::Limit, "sandbox: more than " + std::to_string(kGuardedPlacesMax) +
                                      " sockets, secrets and files that run later in the granted folders (grant less)"};
    }
    choose_landlock_paths(plan, facts);
    return {};
}

}  // namespace sanctum::launcher
