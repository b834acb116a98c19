// SPDX-License-Identifier: Apache-2.0
// enter_empty_network: a trusted process of ours leaves the machine's network for good.
#include "base/confinement/self_confinement.hpp"
#include "base/files.hpp"
#include "base/unique_fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace sanctum {
namespace {

Status write_own(const std::string& name, const std::string& text) {
    const std::string path = "/proc/self/" + name;
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file) return io_error("open " + path);
    Status written = write_all(file.get(), text);
    if (!written) return std::move(written).error().in(path);
    return {};
}

Status map_onto_itself(uid_t user, gid_t group) {
    SANCTUM_CHECK(write_own("setgroups", "deny"));
    SANCTUM_CHECK(write_own("uid_map", std::to_string(user) + " " + std::to_string(user) + " 1"));
    return write_own("gid_map", std::to_string(group) + " " + std::to_string(group) + " 1");
}

Error refused(int sys_errno) {
    Error error = io_error("leave the network", sys_errno);
    if (sys_errno != EPERM && sys_errno != ENOSPC && sys_errno != EACCES) return error;
    error.code = Errc::NotPermitted;
    error.what += sys_errno == ENOSPC ? " (the machine's user.max_user_namespaces is used up)"
                                      : " (user namespaces are restricted on this machine: see `sanctum doctor`)";
    return error;
}

}  // namespace

Status enter_empty_network() {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    const int dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return refused(errno);
    // The files of /proc/self belong to nobody of ours while the process is not dumpable.
    if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return io_error("become dumpable for the id maps");
    Status mapped = map_onto_itself(user, group);
    if (::prctl(PR_SET_DUMPABLE, dumpable == 1 ? 1 : 0, 0, 0, 0) != 0) return io_error("become undumpable again");
    return mapped;
}

}  // namespace sanctum
