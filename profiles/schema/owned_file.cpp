// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/owned_file.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::profiles {
namespace {

bool is_ours(uid_t owner) { return owner == 0 || owner == ::geteuid(); }

Error not_permitted(const std::string& path, const std::string& why, const std::string& remedy) {
    return Error{Errc::NotPermitted, path + ": " + why + " (" + remedy + ")"};
}

// Group write is harmless where the group is the owner's alone: the usual set-up of one group per user with umask 002.
bool is_private_group(uid_t owner, gid_t group) {
    if (group == 0) return true;
    const passwd* user = ::getpwuid(owner);
    if (user == nullptr || user->pw_gid != group) return false;
    const std::string name = user->pw_name;
    const struct group* members = ::getgrgid(group);
    return members != nullptr && name == members->gr_name && members->gr_mem != nullptr &&
           members->gr_mem[0] == nullptr;
}

// The bits that nobody but the owner may have.
mode_t nobodys(Secrecy secrecy) {
    if (secrecy == Secrecy::Ordinary) return 0;
    return secrecy == Secrecy::Unit ? S_IRWXO : S_IRWXG | S_IRWXO;
}

Status check_status(const std::string& path, const struct stat& status, Secrecy secrecy) {
    if (!is_ours(status.st_uid)) {
        return not_permitted(path, "belongs to another user", "chown it to yourself or root");
    }
    const bool is_folder = S_ISDIR(status.st_mode);
    // In a sticky folder only a file's owner can rename or remove it (inode(7)).
    if (is_folder && (status.st_mode & S_ISVTX) != 0) return {};
    const bool group_writes = (status.st_mode & S_IWGRP) != 0 && !is_private_group(status.st_uid, status.st_gid);
    if (group_writes || (status.st_mode & S_IWOTH) != 0) {
        return not_permitted(path, "can be changed by other users", "chmod go-w " + path);
    }
    if (!is_folder && (status.st_mode & nobodys(secrecy)) != 0) {
        return not_permitted(path, "can be read by other users", "chmod 600 " + path);
    }
    return {};
}

Status check_folders(const std::string& file) {
    for (std::size_t slash = file.rfind('/'); slash != std::string::npos && slash != 0;
         slash = file.rfind('/', slash - 1)) {
        const std::string folder = file.substr(0, slash);
        struct stat status {};
        if (::stat(folder.c_str(), &status) != 0) return io_error("stat " + folder);
        SANCTUM_CHECK(check_status(folder, status, Secrecy::Ordinary));
    }
    return {};
}

Result<std::string> real_path(const std::string& path) {
    char* resolved = ::realpath(path.c_str(), nullptr);
    if (resolved == nullptr) {
        Error error = io_error(path);
        if (error.sys_errno == ENOENT || error.sys_errno == ENOTDIR) error.code = Errc::NotFound;
        return error;
    }
    std::string out(resolved);
    std::free(resolved);
    return out;
}

}  // namespace

Result<std::string> read_owned_file(const std::string& path, Secrecy secrecy) {
    return read_owned_file(path, secrecy, kSmallFileBytesMax);
}

Result<std::string> read_owned_file(const std::string& path, Secrecy secrecy, std::size_t bytes_max) {
    SANCTUM_TRY(const UniqueFd fd, open_owned_file(path, secrecy));
    Result<std::string> content = read_all(fd.get(), bytes_max);
    if (!content) return std::move(content).error().in(path);
    return content;
}

Result<UniqueFd> open_owned_file(const std::string& path, Secrecy secrecy) {
    SANCTUM_TRY(const std::string real, real_path(path));
    UniqueFd fd(::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
    if (!fd && errno == EACCES) {
        return not_permitted(path, "may not be read", "chown it to yourself, or chmod u+r " + path);
    }
    if (!fd) return io_error(path);
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return io_error("stat " + path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::Unsupported, path + ": not a regular file"};
    SANCTUM_CHECK(check_status(real, status, secrecy));
    SANCTUM_CHECK(check_folders(real));
    return fd;
}

Result<std::string> find_owned_program(const std::string& path) {
    SANCTUM_TRY(std::string real, real_path(path));
    struct stat status {};
    if (::stat(real.c_str(), &status) != 0) return io_error("stat " + path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::Unsupported, path + ": not a regular file"};
    SANCTUM_CHECK(check_status(real, status, Secrecy::Ordinary));
    SANCTUM_CHECK(check_folders(real));
    if (::access(real.c_str(), X_OK) != 0) return not_permitted(path, "may not be executed", "chmod u+x " + path);
    return real;
}

Status check_owned_folder(const std::string& folder) {
    SANCTUM_TRY(const std::string real, real_path(folder));
    return check_folders(real + "/file");
}

std::optional<Fault> private_file_fault(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::nullopt;
        return Fault{io_error(path).what, {}};
    }
    if (!S_ISREG(status.st_mode)) return Fault{path + ": not a regular file", {}};
    const Status checked = check_status(path, status, Secrecy::Private);
    if (checked) return std::nullopt;
    const std::string& what = checked.error().what;
    const std::size_t remedy = what.rfind(" (");
    return Fault{what.substr(0, remedy), "run: " + what.substr(remedy + 2, what.size() - remedy - 3)};
}

}  // namespace sanctum::profiles
