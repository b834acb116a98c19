// SPDX-License-Identifier: Apache-2.0
// plan_sandbox: a mission and facts about the machine become the ordered list of what will be done. Pure.
#include "launcher/plan/sandbox_plan.hpp"

#include "base/limits.hpp"
#include "base/standard_path.hpp"
#include "launcher/plan/agent_filter.hpp"
#include "launcher/plan/fixed_places.hpp"
#include "launcher/plan/plan_limits.hpp"
#include "launcher/plan/plan_mounts.hpp"

#include <algorithm>

namespace sanctum::launcher {
namespace {

constexpr const char* kFallbackHome = "/home/agent";

/// Variables by which programs are told where trusted roots lie. An inherited one would beat the mounted bundle, so all
/// of them are overwritten: those that add to a built-in list get the mission's authority alone.
struct TrustVariable {
    const char* name;
    const char* value;
};
constexpr TrustVariable kTrustVariables[] = {
    {"SSL_CERT_FILE", kTrustBundle},
    {"SSL_CERT_DIR", kTrustFolder},
    {"CURL_CA_BUNDLE", kTrustBundle},
    {"REQUESTS_CA_BUNDLE", kTrustBundle},
    {"PIP_CERT", kTrustBundle},
    {"GIT_SSL_CAINFO", kTrustBundle},
    {"AWS_CA_BUNDLE", kTrustBundle},
    {"HTTPLIB2_CA_CERTS", kTrustBundle},
    {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", kTrustBundle},
    {"NIX_SSL_CERT_FILE", kTrustBundle},
    {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", kTrustBundle},
    {"NODE_EXTRA_CA_CERTS", kMissionAuthority},
    {"DENO_CERT", kMissionAuthority},
    {"CODEX_CA_CERTIFICATE", kMissionAuthority},
};

Error unfit(std::string what) { return Error{Errc::InvalidProfile, "sandbox: " + std::move(what)}; }

/// Never root outside: root's missions run as the owner of the workspace, or as an id that nobody else uses.
Status choose_identity(SandboxPlan& plan, const HostFacts& facts) {
    plan.host_uid = facts.uid;
    plan.host_gid = facts.gid;
    plan.user_name = facts.user_name.empty() ? "agent" : facts.user_name;
    plan.map_by_parent = facts.uid == 0;
    if (plan.map_by_parent) {
        plan.host_uid = facts.workspace_owner != 0 ? facts.workspace_owner : kUnprivilegedId;
        const bool group_is_usable = facts.workspace_owner != 0 && facts.workspace_group != 0;
        plan.host_gid = group_is_usable ? facts.workspace_group : kUnprivilegedId;
        plan.user_name = "agent";
        if (facts.workspace_owner == 0 && !facts.workspace_can_be_idmapped) {
            return Error{Errc::Unsupported,
                         "sandbox: the workspace belongs to root and its file system cannot show it as another user's "
                         "(use a folder that an ordinary user owns, or run as that user)"};
        }
    }
    plan.inside_uid = plan.host_uid;
    plan.inside_gid = plan.host_gid;
    return {};
}

/// The caller's home, so that paths with it inside mean the same; a service account's may lie where nothing can be
/// mounted over.
std::string choose_home(const HostFacts& facts) {
    const bool is_folder_of_its_own =
        facts.home.starts_with('/') && facts.home.size() > 1 && facts.home.find("/../") == std::string::npos;
    if (!is_folder_of_its_own) return kFallbackHome;
    for (const char* taken : {"/usr", "/bin", "/sbin", "/lib", "/opt", "/etc", "/proc", "/dev", "/sys", "/run",
        "/tmp"}) {
        if (facts.home == taken || (is_same_or_below(facts.home, taken) && std::string_view(taken) != "/tmp")) {
            return kFallbackHome;
        }
    }
    return facts.home;
}

Status choose_ports(SandboxPlan& plan, const profiles::Mission& mission) {
    plan.ports = profiles::listening_ports(mission);
    if (plan.ports.size() > kSandboxPortsMax) {
        return unfit("more than " + std::to_string(kSandboxPortsMax) + " different ports in services and hosts");
    }
    // Port 53 has its DNS sockets already.
    std::erase(plan.ports, std::uint16_t{53});
    return {};
}

void choose_environment(SandboxPlan& plan, const profiles::Mission& mission, const HostFacts& facts) {
    auto& environment = plan.environment;
    const auto has_root = [&](const char* path) {
        return std::find(facts.existing_roots.begin(), facts.existing_roots.end(), path) != facts.existing_roots.end();
    };
    environment = {{"PATH", kStandardPath},
                   {"USER", plan.user_name},
                   {"LOGNAME", plan.user_name},
                   {"SHELL", has_root("/bin/bash") ? "/bin/bash" : "/bin/sh"},
                   {"TERM", facts.terminal_type.empty() ? "dumb" : facts.terminal_type},
                   {"TMPDIR", "/tmp"}};
    if (!facts.time_zone.empty()) environment["TZ"] = facts.time_zone;
    for (const auto& [name, value] : facts.locale) environment[name] = value;
    for (const auto& [name, value] : mission.sandbox.environment) environment[name] = value;
    environment["HOME"] = plan.home;
    environment["SANCTUM_MISSION"] = mission.id;
    environment["SANCTUM_POLICY"] = kPolicyFile;
    for (const TrustVariable& variable : kTrustVariables) environment[variable.name] = variable.value;
}

Status check_machine(const HostFacts& facts, const profiles::Mission& mission) {
    if (!facts.has_user_namespaces) {
        return Error{Errc::Unsupported, "sandbox: no user namespaces: " + facts.user_namespaces_why};
    }
    if (mission.sandbox.attribute && !facts.has_seccomp_notify) {
        return Error{Errc::Unsupported,
                     "sandbox: the kernel has no system-call notices "
                     "(set `attribute = false` to run without process names)"};
    }
    if (facts.landlock_abi < mission.sandbox.landlock_min) {
        return Error{Errc::Unsupported, "sandbox: Landlock ABI " + std::to_string(mission.sandbox.landlock_min) +
                                            " is asked for, this kernel has " + std::to_string(facts.landlock_abi) +
                                            " (lower `landlock_min`, or boot with landlock in lsm=)"};
    }
    return {};
}

Status choose_working_directory(SandboxPlan& plan, const std::string& working_directory) {
    plan.working_directory = working_directory;
    const auto holds = [&](const std::string& place) { return is_same_or_below(working_directory, place); };
    const bool is_visible =
        holds(plan.home) || holds("/tmp") || working_directory == "/" ||
        std::any_of(plan.mounts.begin(), plan.mounts.end(), [&](const MountStep& step) {
            return (step.kind == MountKind::Bind || step.kind == MountKind::BindReadOnly) && holds(step.target);
        });
    if (is_visible) return {};
    return unfit("the working directory " + working_directory +
                 " does not exist inside (start in the workspace, or add it to `read`)");
}

}  // namespace

Result<SandboxPlan> plan_sandbox(const profiles::Mission& mission, const HostFacts& facts,
                                 std::vector<std::string> command, bool new_session,
                                 const std::string& working_directory,
                                 const std::vector<std::string>& files_that_run_later) {
    SANCTUM_CHECK(check_machine(facts, mission));
    SandboxPlan plan;
    plan.mission_id = mission.id;
    SANCTUM_CHECK(choose_identity(plan, facts));
    plan.home = choose_home(facts);
    plan.workspace = mission.sandbox.workspace;
    plan.runs_later_existing = files_that_run_later;
    SANCTUM_CHECK(plan_mounts(plan, mission, facts));
    SANCTUM_CHECK(choose_working_directory(plan, working_directory));

    SANCTUM_CHECK(choose_ports(plan, mission));
    plan.has_ipv6 = facts.has_ipv6;
    plan.attribute = mission.sandbox.attribute;
    plan.delegate = mission.delegate;
    SANCTUM_TRY(plan.limits, plan_limits(mission, facts));
    plan.landlock_abi = facts.landlock_abi;
    const bool is_affinity_limit = plan.limits.means == LimitMeans::Rlimits && plan.limits.cpus_milli != 0;
    plan.filter = agent_filter(native_architecture(), plan.attribute ? Watch::Connections : Watch::Off,
                               is_affinity_limit ? Affinity::Fixed : Affinity::Free);
    plan.new_session = new_session || !facts.has_terminal;

    if (command.empty()) return unfit("no command");
    plan.command = std::move(command);
    choose_environment(plan, mission, facts);
    plan.ttl_ms = mission.ttl_ms;
    return plan;
}

}  // namespace sanctum::launcher
