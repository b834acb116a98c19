// SPDX-License-Identifier: Apache-2.0
#include "vault/mission_lock.hpp"

#include "base/files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

namespace sanctum::vault {

std::string vault_lock_path(const std::string& state_folder, const std::string& name) {
    return state_folder + "/vault-locks/" + name;
}

Result<UniqueFd> lock_file(const std::string& path, Wait wait) {
    SANCTUM_CHECK(make_folders(path.substr(0, path.rfind('/')), 0700));
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return io_error(path);
    while (::flock(fd.get(), LOCK_EX | (wait == Wait::No ? LOCK_NB : 0)) != 0) {
        if (errno == EWOULDBLOCK) return Error{Errc::Timeout, path + ": held by a process that lives", EWOULDBLOCK};
        if (errno != EINTR) return io_error("lock " + path);
    }
    return fd;
}

}  // namespace sanctum::vault
