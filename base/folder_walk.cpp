// SPDX-License-Identifier: Apache-2.0
#include "base/folder_walk.hpp"

#include "base/limits.hpp"
#include "base/unique_fd.hpp"

#include <cerrno>
#include <climits>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;
using Kind = WalkEntry::Kind;

Kind kind_of_mode(mode_t mode) {
    if (S_ISDIR(mode)) return Kind::Folder;
    if (S_ISREG(mode)) return Kind::File;
    if (S_ISLNK(mode)) return Kind::Link;
    return S_ISSOCK(mode) ? Kind::Socket : Kind::Other;
}

Kind kind_of(int folder, const dirent& entry) {
    switch (entry.d_type) {
        case DT_DIR: return Kind::Folder;
        case DT_REG: return Kind::File;
        case DT_LNK: return Kind::Link;
        case DT_SOCK: return Kind::Socket;
        case DT_UNKNOWN: break;
        default: return Kind::Other;
    }
    struct stat status {};
    if (::fstatat(folder, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return Kind::Other;
    return kind_of_mode(status.st_mode);
}

class Walk {
public:
    Walk(std::string root, const std::function<Descend(const WalkEntry&)>& visit, const PassedOver& passed_over)
        : root_(std::move(root)), visit_(visit), passed_over_(passed_over) {}

    Status start() {
        UniqueFd folder(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!folder) {
            Error error = io_error(root_);
            if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
            return error;
        }
        Status walked = walk(std::move(folder), 0);
        return walked ? walked : Status(name_mount(std::move(walked).error()));
    }

private:
    // Where it failed in another file system than the root's, that one is to blame: /proc below a chroot tree has
    // folders that cannot be listed, and more entries than any workspace.
    Error name_mount(Error error) const {
        struct stat top {};
        struct stat below {};
        if (::lstat(root_.c_str(), &top) != 0) return error;
        for (std::size_t slash = 0; slash != std::string::npos && !path_.empty();) {
            slash = path_.find('/', slash + 1);
            const std::string place = root_ + "/" + path_.substr(0, slash);
            if (::lstat(place.c_str(), &below) != 0) return error;
            if (below.st_dev == top.st_dev) continue;
            error.what = "another file system is mounted on " + place + ", and it cannot be searched: " + error.what +
                         "; unmount it, or choose a folder without it";
            return error;
        }
        return error;
    }

    Status walk(UniqueFd fd, int depth) {
        const Folder folder(::fdopendir(fd.get()), &::closedir);
        if (!folder) return io_error(root_ + "/" + path_);
        const int handle = fd.release();  // closed by closedir from here on
        const std::size_t length = path_.size();
        for (;;) {
            errno = 0;
            const dirent* entry = ::readdir(folder.get());
            if (entry == nullptr) break;
            if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
            if (length != 0) path_ += '/';
            path_ += entry->d_name;
            SANCTUM_CHECK(enter(handle, *entry, depth));
            path_.resize(length);
        }
        return errno == 0 ? Status() : Status(io_error("list " + root_ + "/" + path_));
    }

    Status enter(int folder, const dirent& entry, int depth) {
        if (++seen_ > kWalkEntriesMax) {
            return Error{Errc::Limit, root_ + ": more than " + std::to_string(kWalkEntriesMax) +
                                          " files (grant a smaller folder)"};
        }
        const Kind kind = kind_of(folder, entry);
        if (visit_({path_, entry.d_name, kind}) == Descend::No || kind != Kind::Folder) return {};
        if (depth >= kWalkDepthMax) return pass_over_bound("folders nested too deep");
        // A file in it with the longest name would have a path that the kernel does not take.
        if (root_.size() + path_.size() + NAME_MAX + 3 > PATH_MAX) return pass_over_bound("its path is too long");
        UniqueFd below(::openat(folder, entry.d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (below) return walk(std::move(below), depth + 1);
        if (errno == EACCES) {
            if (passed_over_) passed_over_(path_, "its owner may not look into it");
            return {};
        }
        if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) return {};
        return io_error("open " + root_ + "/" + path_);
    }

    Status pass_over_bound(const char* why) {
        constexpr std::size_t shown_max = 200;  // one that is too long for the kernel is too long for a line as well
        if (!passed_over_) {
            std::string shown = path_.substr(0, shown_max);
            if (path_.size() > shown_max) shown += "...";
            return Error{Errc::Limit, root_ + "/" + shown + ": " + why + " (remove it, or move it away)"};
        }
        passed_over_(path_, why);
        return {};
    }

    std::string root_;
    const std::function<Descend(const WalkEntry&)>& visit_;
    const PassedOver& passed_over_;
    std::string path_;
    std::size_t seen_ = 0;
};

}  // namespace

Status walk_folder(const std::string& root, const std::function<Descend(const WalkEntry&)>& visit,
                   const PassedOver& passed_over) {
    return Walk(root, visit, passed_over).start();
}

}  // namespace sanctum
