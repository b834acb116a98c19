// SPDX-License-Identifier: Apache-2.0
// render_plan: the plan in words and a fixed order, for `--dry-run`, `explain` and golden files.
#include "launcher/plan/sandbox_plan.hpp"

#include "launcher/plan/call_numbers.hpp"
#include "launcher/plan/fixed_places.hpp"

#include <sstream>

namespace sanctum::launcher {
namespace {

const char* name_of(MountKind kind) {
    switch (kind) {
        case MountKind::Bind: return "writable";
        case MountKind::BindReadOnly: return "read-only";
        case MountKind::Tmpfs: return "in memory";
        case MountKind::Proc: return "proc";
        case MountKind::Terminals: return "devpts";
        case MountKind::Device: return "device";
        case MountKind::Symlink: return "link";
        case MountKind::File: return "file";
        case MountKind::CopiedFile: return "copy";
        case MountKind::ShownFile: return "shown";
        case MountKind::MaskFile:
        case MountKind::MaskFolder: return "hidden";
        case MountKind::ReadOnlyInside: return "read-only";
    }
    return "?";
}

const char* name_of(LimitMeans means) {
    switch (means) {
        case LimitMeans::None: return "none asked";
        case LimitMeans::Cgroup2: return "control group v2";
        case LimitMeans::Cgroup1: return "control groups v1";
        case LimitMeans::Rlimits: return "rlimits";
    }
    return "?";
}

/// Text that a terminal shows as it is: a path may hold anything.
std::string printable(const std::string& text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) {
            out += c;
            continue;
        }
        char escaped[5];
        std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
        out += escaped;
    }
    return out;
}

void render_identity(std::ostream& out, const SandboxPlan& plan) {
    out << "user        " << plan.user_name << " (" << plan.inside_uid << ":" << plan.inside_gid << ", outside "
        << plan.host_uid << ":" << plan.host_gid << (plan.map_by_parent ? ", mapped by root" : "") << ")\n"
        << "home        " << printable(plan.home) << "\n"
        << "workspace   " << printable(plan.workspace) << "\n"
        << "directory   " << printable(plan.working_directory) << "\n"
        << "terminal    " << (plan.new_session ? "session of its own" : "foreground of the caller's") << "\n";
}

void render_mounts(std::ostream& out, const SandboxPlan& plan) {
    out << "root filesystem (everything else does not exist)\n";
    for (const MountStep& step : plan.mounts) {
        out << "  " << name_of(step.kind) << "  " << printable(step.target);
        if (step.kind == MountKind::Symlink) out << " -> " << printable(step.source);
        else if (!step.source.empty() && step.source != step.target) out << " from " << printable(step.source);
        if (step.idmapped) out << " (root's files shown as the agent's)";
        out << "  # " << step.reason << "\n";
    }
    for (const HomeFile& file : plan.home_files) {
        out << "  written  " << printable(plan.home + "/" + file.path) << "  # a login of placeholders\n";
    }
}

void render_network(std::ostream& out, const SandboxPlan& plan) {
    out << "network     empty namespace, every address is local; Sanctum listens on 53";
    for (const std::uint16_t port : plan.ports) out << " " << port;
    out << "\n"
        << "interface   " << kLinkName << " with " << kSandboxAddress;
    if (plan.has_ipv6) out << " and " << kSandboxAddress6;
    out << (plan.has_ipv6 ? "" : " (IPv4 only)") << ", leads nowhere\n"
        << "watch       " << (plan.attribute ? "connections are attributed to processes" : "off") << "\n";
    if (plan.delegate) out << "delegation  child missions are asked for at " << kDelegateSocket << "\n";
}

void render_limits(std::ostream& out, const PlannedLimits& limits) {
    out << "limits      " << name_of(limits.means);
    if (limits.memory_bytes != 0) out << ", memory " << limits.memory_bytes << " bytes";
    if (limits.memory_bytes != 0 && limits.means == LimitMeans::Rlimits) out << " per process";
    if (limits.processes != 0) out << ", processes " << limits.processes;
    if (limits.cpus_milli != 0) out << ", cpus " << limits.cpus_milli << "/1000";
    if (limits.file_bytes != 0) out << ", file " << limits.file_bytes << " bytes";
    if (limits.open_files != 0) out << ", open files " << limits.open_files;
    for (const std::string& missing : limits.missing) out << "\n            NOT ENFORCED, accepted: " << missing;
    out << "\n";
}

void render_landlock(std::ostream& out, const SandboxPlan& plan) {
    if (plan.landlock_abi == 0) {
        out << "landlock    NOT ENFORCED, accepted\n";
        return;
    }
    out << "landlock    ABI " << plan.landlock_abi << "\n";
    for (const std::string& path : plan.landlock_read) out << "  read   " << printable(path) << "\n";
    for (const std::string& path : plan.landlock_write) out << "  write  " << printable(path) << "\n";
}

void render_filter(std::ostream& out, const SandboxPlan& plan) {
    std::size_t allowed = 0;
    std::string refused;
    std::string noticed;
    for (const FilterRow& row : plan.filter) {
        if (row.test != CallRule::Test::None) continue;
        const std::string name(call_name(row.number, native_architecture()));
        if (row.action == CallRule::Action::Allow) ++allowed;
        if (row.action == CallRule::Action::Errno) refused += " " + name;
        if (row.action == CallRule::Action::Notify) noticed += " " + name;
    }
    out << "system calls  " << allowed << " allowed; unknown ones do not exist (ENOSYS)\n"
        << "  refused " << refused << "\n"
        << "  noticed " << (noticed.empty() ? " none" : noticed) << "\n";
}

void render_command(std::ostream& out, const SandboxPlan& plan) {
    out << "environment\n";
    for (const auto& [name, value] : plan.environment) out << "  " << name << "=" << printable(value) << "\n";
    out << "command    ";
    for (const std::string& word : plan.command) out << " " << printable(word);
    out << "\n"
        << "ends after  " << plan.ttl_ms / 1000 << " s\n";
}

}  // namespace

std::string render_plan(const SandboxPlan& plan) {
    std::ostringstream out;
    render_identity(out, plan);
    render_mounts(out, plan);
    render_network(out, plan);
    render_limits(out, plan.limits);
    render_landlock(out, plan);
    render_filter(out, plan);
    render_command(out, plan);
    return out.str();
}

}  // namespace sanctum::launcher
