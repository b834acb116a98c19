// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan/plan_limits.hpp"

namespace sanctum::launcher {
namespace {

constexpr std::uint64_t kMilliPerCpu = 1000;

std::string group_name(const profiles::Mission& mission) { return "/sanctum-" + mission.id; }

bool has_all_cgroup1(const PlannedLimits& limits, const HostFacts& facts) {
    const auto has = [&](const char* controller) { return facts.cgroup1_folders.contains(controller); };
    return facts.has_cgroup1 && (limits.memory_bytes == 0 || has("memory")) && (limits.processes == 0 || has("pids")) &&
           (limits.cpus_milli == 0 || has("cpu"));
}

void use_cgroup1(PlannedLimits& limits, const profiles::Mission& mission, const HostFacts& facts) {
    limits.means = LimitMeans::Cgroup1;
    const auto use = [&](std::uint64_t asked, const char* controller) {
        if (asked != 0) limits.cgroups[controller] = facts.cgroup1_folders.at(controller) + group_name(mission);
    };
    use(limits.memory_bytes, "memory");
    use(limits.processes, "pids");
    use(limits.cpus_milli, "cpu");
}

/// Affinity gives whole processors only, and no more than there are.
void use_rlimits(PlannedLimits& limits) {
    limits.means = LimitMeans::Rlimits;
    if (limits.cpus_milli % kMilliPerCpu != 0) {
        limits.missing.emplace_back("cpus (a part of a processor needs a control group)");
        limits.cpus_milli = 0;
    }
}

}  // namespace

Result<PlannedLimits> plan_limits(const profiles::Mission& mission, const HostFacts& facts) {
    const profiles::SandboxLimits& asked = mission.sandbox.limits;
    PlannedLimits limits;
    limits.memory_bytes = asked.memory_bytes.value_or(0);
    limits.processes = asked.processes.value_or(0);
    limits.cpus_milli = asked.cpus_milli.value_or(0);
    limits.file_bytes = asked.file_bytes.value_or(0);
    limits.open_files = asked.open_files.value_or(0);
    if (limits.memory_bytes == 0 && limits.processes == 0 && limits.cpus_milli == 0) {
        if (limits.file_bytes != 0 || limits.open_files != 0) limits.means = LimitMeans::Rlimits;
        return limits;
    }
    if (facts.has_cgroup2_delegation) {
        limits.means = LimitMeans::Cgroup2;
        limits.cgroup_path = facts.cgroup2_path + group_name(mission);
    } else if (has_all_cgroup1(limits, facts)) {
        use_cgroup1(limits, mission, facts);
    } else {
        use_rlimits(limits);
    }
    if (!limits.missing.empty() && asked.missing == profiles::MissingLimits::Refuse) {
        return Error{Errc::Unsupported, "sandbox.limits: cannot be enforced on this machine: " +
                                            limits.missing.front() +
                                            " (set limits.missing = \"accept\" to run without)"};
    }
    return limits;
}

}  // namespace sanctum::launcher
