// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"

#include "base/wire/archive.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum {
namespace {

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> read_all(int fd, std::size_t bytes_max) {
    std::string out;
    char chunk[16384];
    for (;;) {
        const ssize_t size = ::pread(fd, chunk, sizeof chunk, static_cast<off_t>(out.size()));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return io_error("read");
        if (size == 0) return out;
        out.append(chunk, static_cast<std::size_t>(size));
        if (out.size() > bytes_max) {
            return Error{Errc::Limit, "larger than " + std::to_string(bytes_max) + " bytes"};
        }
    }
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) {
        Error error = io_error(path);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        return error;
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return io_error("stat " + path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::Unsupported, path + ": not a regular file"};
    Result<std::string> content = read_all(fd.get(), bytes_max);
    if (!content) return std::move(content).error().in(path);
    return content;
}

Status write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(fd, bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return io_error("write");
        bytes.remove_prefix(static_cast<std::size_t>(size));
    }
    return {};
}

Status sync_path(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return io_error("open " + path);
    if (::fsync(fd.get()) != 0) return io_error("fsync " + path);
    return {};
}

Status write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode, AfterCrash after_crash) {
    const std::string temporary = path + ".new-" + wire::to_hex(random_bytes(6));
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd) return io_error("create " + path);
    Status written = write_all(fd.get(), bytes);
    if (written && after_crash != AfterCrash::Anything && ::fsync(fd.get()) != 0) written = io_error("fsync");
    fd.reset();
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = io_error("rename");
    if (!written) {
        ::unlink(temporary.c_str());
        return std::move(written).error().in(path);
    }
    return after_crash == AfterCrash::New ? sync_path(folder_of(path)) : Status();
}

Status make_folders(const std::string& path, mode_t mode) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return io_error("create folder " + part);
        if (slash == std::string::npos) return {};
    }
}

Result<UniqueFd> make_sealed_memfd(const std::string& name, std::string_view bytes) {
    UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd) return io_error("memfd_create " + name);
    SANCTUM_CHECK(write_all(fd.get(), bytes));
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        return io_error("seal " + name);
    }
    return fd;
}

Result<std::string> read_sealed_memfd(int fd, std::size_t bytes_max) {
    const int seals = ::fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_WRITE) == 0) return Error{Errc::Protocol, "descriptor is not a sealed memfd"};
    return read_all(fd, bytes_max);
}

std::string random_bytes(std::size_t size) {
    std::string out(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
        const ssize_t got = ::getrandom(out.data() + filled, size - filled, 0);
        SANCTUM_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) filled += static_cast<std::size_t>(got);
    }
    return out;
}

}  // namespace sanctum
