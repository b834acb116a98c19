// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/resource_limits.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/unique_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr std::uint64_t kCpuPeriodMicroseconds = 100'000;
constexpr std::uint64_t kCpuMilliPerCpu = 1000;

Status write_setting(const std::string& path, const std::string& value) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return io_error("open " + path);
    Status written = write_all(file.get(), value);
    if (!written) return std::move(written).error().in(path);
    return {};
}

Status make_group(const std::string& folder) {
    if (::mkdir(folder.c_str(), 0755) != 0) return io_error("make control group " + folder);
    return {};
}

std::uint64_t cpu_quota(const PlannedLimits& limits) {
    return limits.cpus_milli * kCpuPeriodMicroseconds / kCpuMilliPerCpu;
}

Status fill_group2(const PlannedLimits& limits, const std::string& process) {
    SANCTUM_CHECK(make_group(limits.cgroup_path));
    const auto set = [&](const char* file, const std::string& value) {
        return write_setting(limits.cgroup_path + "/" + file, value);
    };
    if (limits.memory_bytes != 0) {
        SANCTUM_CHECK(set("memory.max", std::to_string(limits.memory_bytes)));
        SANCTUM_CHECK(set("memory.swap.max", "0"));
    }
    if (limits.processes != 0) {
        SANCTUM_CHECK(set("pids.max", std::to_string(limits.processes)));
    }
    if (limits.cpus_milli != 0) {
        SANCTUM_CHECK(set("cpu.max", std::to_string(cpu_quota(limits)) + " " + std::to_string(kCpuPeriodMicroseconds)));
    }
    return set("cgroup.procs", process);
}

Status fill_group1(const PlannedLimits& limits, const std::string& controller, const std::string& folder,
                   const std::string& process) {
    SANCTUM_CHECK(make_group(folder));
    if (controller == "memory") {
        SANCTUM_CHECK(write_setting(folder + "/memory.limit_in_bytes", std::to_string(limits.memory_bytes)));
    } else if (controller == "pids") {
        SANCTUM_CHECK(write_setting(folder + "/pids.max", std::to_string(limits.processes)));
    } else {
        SANCTUM_CHECK(write_setting(folder + "/cpu.cfs_period_us", std::to_string(kCpuPeriodMicroseconds)));
        SANCTUM_CHECK(write_setting(folder + "/cpu.cfs_quota_us", std::to_string(cpu_quota(limits))));
    }
    return write_setting(folder + "/cgroup.procs", process);
}

/// Lowers a limit; one that is lower already stays.
Status lower_limit(int resource, std::uint64_t value, const char* name) {
    rlimit current{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &current) != 0) return io_error(name);
    const rlimit lowered{std::min<rlim_t>(value, current.rlim_max), std::min<rlim_t>(value, current.rlim_max)};
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &lowered) != 0) return io_error(name);
    return {};
}

/// Keeps the first so many processors of those that are allowed now.
Status narrow_affinity(std::uint64_t cpus) {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return io_error("sched_getaffinity");
    cpu_set_t kept;
    CPU_ZERO(&kept);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE && static_cast<std::uint64_t>(CPU_COUNT(&kept)) < cpus; ++cpu) {
        if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &kept);
    }
    if (::sched_setaffinity(0, sizeof kept, &kept) != 0) return io_error("sched_setaffinity");
    return {};
}

}  // namespace

std::vector<std::string> control_groups(const SandboxPlan& plan) {
    std::vector<std::string> groups;
    if (plan.limits.means == LimitMeans::Cgroup2) groups.push_back(plan.limits.cgroup_path);
    if (plan.limits.means == LimitMeans::Cgroup1) {
        for (const auto& [controller, folder] : plan.limits.cgroups) groups.push_back(folder);
    }
    return groups;
}

Status join_control_groups(const SandboxPlan& plan, pid_t init) {
    const std::string process = std::to_string(init);
    if (plan.limits.means == LimitMeans::Cgroup2) return fill_group2(plan.limits, process);
    if (plan.limits.means != LimitMeans::Cgroup1) return {};
    for (const auto& [controller, folder] : plan.limits.cgroups) {
        SANCTUM_CHECK(fill_group1(plan.limits, controller, folder, process));
    }
    return {};
}

void remove_control_groups(const std::vector<std::string>& groups) {
    for (const std::string& group : groups) ::rmdir(group.c_str());
}

Status set_process_limits(const SandboxPlan& plan) {
    const PlannedLimits& limits = plan.limits;
    SANCTUM_CHECK(lower_limit(RLIMIT_CORE, 0, "RLIMIT_CORE"));
    if (limits.file_bytes != 0) {
        SANCTUM_CHECK(lower_limit(RLIMIT_FSIZE, limits.file_bytes, "RLIMIT_FSIZE"));
    }
    if (limits.open_files != 0) {
        SANCTUM_CHECK(lower_limit(RLIMIT_NOFILE, limits.open_files, "RLIMIT_NOFILE"));
    }
    if (limits.means != LimitMeans::Rlimits) return {};
    if (limits.memory_bytes != 0) {
        SANCTUM_CHECK(lower_limit(RLIMIT_DATA, limits.memory_bytes, "RLIMIT_DATA"));
    }
    if (limits.processes != 0) {
        SANCTUM_CHECK(lower_limit(RLIMIT_NPROC, limits.processes, "RLIMIT_NPROC"));
    }
    if (limits.cpus_milli != 0) return narrow_affinity(limits.cpus_milli / kCpuMilliPerCpu);
    return {};
}

Status offer_to_oom_killer() {
    return write_setting("/proc/self/oom_score_adj", std::to_string(kAgentOomScore));
}

}  // namespace sanctum::launcher
