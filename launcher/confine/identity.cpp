// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/identity.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "launcher/confine/kernel.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

Status write_to(const std::string& path, const std::string& text) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return io_error("open " + path);
    Status written = write_all(file.get(), text);
    if (!written) return std::move(written).error().in(path);
    return {};
}

std::string map_line(std::uint64_t inside, std::uint64_t outside) {
    return std::to_string(inside) + " " + std::to_string(outside) + " 1\n";
}

/// Field numbers of proc(5), counted from 1.
constexpr int kFieldAfterName = 3;
constexpr int kFieldArgumentsStart = 48;
constexpr int kFieldEnvironmentEnd = 51;

void wipe_range(std::uint64_t start, std::uint64_t end) {
    if (start != 0 && end > start) ::explicit_bzero(reinterpret_cast<void*>(start), end - start);
}

}  // namespace

Status wipe_process_image() {
    SANCTUM_TRY(const std::string stat, read_file("/proc/self/stat", kSmallFileBytesMax));
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) return Error{Errc::Protocol, "/proc/self/stat: no command name"};
    std::istringstream fields(stat.substr(name_end + 1));
    std::string field;
    std::uint64_t bounds[4] = {};
    for (int number = kFieldAfterName; number <= kFieldEnvironmentEnd && fields >> field; ++number) {
        if (number < kFieldArgumentsStart) continue;
        bounds[number - kFieldArgumentsStart] = std::strtoull(field.c_str(), nullptr, 10);
    }
    if (bounds[0] == 0 || bounds[3] == 0) return Error{Errc::Protocol, "/proc/self/stat: no argument area"};
    ::clearenv();
    wipe_range(bounds[0], bounds[1]);
    wipe_range(bounds[2], bounds[3]);
    return {};
}

Status map_own_id(const SandboxPlan& plan) {
    SANCTUM_CHECK(write_to("/proc/self/setgroups", "deny"));
    SANCTUM_CHECK(write_to("/proc/self/uid_map", map_line(plan.inside_uid, plan.host_uid)));
    return write_to("/proc/self/gid_map", map_line(plan.inside_gid, plan.host_gid));
}

Status map_id_of(pid_t child, const SandboxPlan& plan) {
    const std::string folder = "/proc/" + std::to_string(child);
    SANCTUM_CHECK(write_to(folder + "/uid_map", map_line(plan.inside_uid, plan.host_uid)));
    return write_to(folder + "/gid_map", map_line(plan.inside_gid, plan.host_gid));
}

Status become_user(const SandboxPlan& plan) {
    if (::setgroups(0, nullptr) != 0) return io_error("setgroups");
    if (::setresgid(plan.inside_gid, plan.inside_gid, plan.inside_gid) != 0) return io_error("setresgid");
    if (::setresuid(plan.inside_uid, plan.inside_uid, plan.inside_uid) != 0) return io_error("setresuid");
    return {};
}

Result<UniqueFd> make_root_to_user_mapping(const SandboxPlan& plan) {
    // A short-lived child owns the namespace until we hold a descriptor of it.
    int pidfd = -1;
    const pid_t parent = ::getpid();
    const pid_t child = kernel::fork_with_flags(CLONE_NEWUSER, &pidfd);
    if (child < 0) return io_error("make a user namespace for the workspace");
    if (child == 0) {
        // It must not outlive a launcher that is killed just now: it holds copies of all its descriptors.
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(1);
        for (;;) ::pause();
    }
    const UniqueFd child_pidfd(pidfd);
    const std::string folder = "/proc/" + std::to_string(child);
    Status mapped = write_to(folder + "/uid_map", map_line(0, plan.host_uid));
    if (mapped) mapped = write_to(folder + "/gid_map", map_line(0, plan.host_gid));
    UniqueFd mapping(::open((folder + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    const int open_errno = errno;
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {}
    if (!mapped) return std::move(mapped).error();
    if (!mapping) return io_error("open " + folder + "/ns/user", open_errno);
    return mapping;
}

}  // namespace sanctum::launcher
