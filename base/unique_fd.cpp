// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.hpp"

#include <cerrno>
#include <unistd.h>

namespace sanctum {

void UniqueFd::reset(int fd) noexcept {
    if (fd_ >= 0) {
        const int saved = errno;
        ::close(fd_);
        errno = saved;
    }
    fd_ = fd;
}

}  // namespace sanctum
