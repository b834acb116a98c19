// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/standard_descriptors.hpp"

#include "base/unique_fd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

int option_of(int fd, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

/// A network socket of the machine can be disconnected and connected to anything, a datagram socket can send anywhere.
/// A connected unix stream, as Node gives its children, stays with its peer.
bool is_connected_unix_stream(int fd) {
    const int type = option_of(fd, SO_TYPE);
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    return option_of(fd, SO_DOMAIN) == AF_UNIX && (type == SOCK_STREAM || type == SOCK_SEQPACKET) &&
           ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

Status replace_closed(int fd) {
    const int null = ::open("/dev/null", O_RDWR);
    if (null < 0) return io_error("/dev/null");
    if (null == fd) return {};
    const int placed = ::dup2(null, fd);
    ::close(null);
    return placed < 0 ? Status(io_error("dup2")) : Status();
}

Status check(int fd) {
    const std::string name = "descriptor " + std::to_string(fd);
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        return errno == EBADF ? replace_closed(fd) : Status(io_error(name));
    }
    if (S_ISDIR(status.st_mode)) {
        return Error{Errc::Denied, name + " is a folder, which would be a way out of the sandbox (redirect it)"};
    }
    if (S_ISSOCK(status.st_mode) && !is_connected_unix_stream(fd)) {
        return Error{Errc::Denied,
                     name + " is a socket, which would be a way out of the sandbox (redirect it, e.g. `| cat`)"};
    }
    return {};
}

}  // namespace

Status check_standard_descriptors() {
    for (int fd = 0; fd <= 2; ++fd) {
        SANCTUM_CHECK(check(fd));
    }
    return {};
}

}  // namespace sanctum::launcher
