// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/mounts.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "launcher/confine/identity.hpp"
#include "launcher/confine/kernel.hpp"
#include "launcher/plan/fixed_places.hpp"

#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

// The new root is built here and then becomes everything: nothing is ever taken from the machine's own /proc.
constexpr const char* kBuildPlace = "/proc";

// A process that is root of its namespaces could make more of them; writing 0 is the second lock behind the filter.
constexpr const char* kNamespaceLimits[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};

bool is_bind(MountKind kind) {
    return kind == MountKind::Bind || kind == MountKind::BindReadOnly || kind == MountKind::Device;
}

std::uint64_t flags_of(MountKind kind) {
    if (kind == MountKind::Device) return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    const std::uint64_t flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    return kind == MountKind::Bind ? flags : flags | MOUNT_ATTR_RDONLY;
}

Status set_flags(int tree, std::uint64_t flags) {
    mount_attr attributes{};
    attributes.attr_set = flags;
    if (::mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) != 0) {
        return io_error("mount_setattr");
    }
    return {};
}

Result<UniqueFd> clone_tree(int place) {
    UniqueFd tree(::open_tree(place, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree) return io_error("open_tree");
    return tree;
}

Result<UniqueFd> open_source(const MountStep& step) {
    const UniqueFd place(kernel::open_place(AT_FDCWD, step.source.c_str()));
    if (!place) return io_error("open");
    SANCTUM_TRY(UniqueFd tree, clone_tree(place.get()));
    SANCTUM_CHECK(set_flags(tree.get(), flags_of(step.kind)));
    return tree;
}

Status show_as_user(int tree, int mapping) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<__u64>(mapping);
    // With everything that is mounted below: what the agent sees there is its own as well.
    if (::mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) != 0) {
        Error error = io_error("idmapped mount");
        error.code = Errc::Unsupported;
        error.what += " (the file system, or one that is mounted below, cannot show root's files as another user's: "
                      "use a folder that an ordinary user owns)";
        return error;
    }
    return {};
}

/// The new root under construction.
class RootBuilder {
public:
    explicit RootBuilder(UniqueFd root) : root_(std::move(root)) {}

    [[nodiscard]] Status apply(const MountStep& step, UniqueFd source) {
        switch (step.kind) {
            case MountKind::Bind:
            case MountKind::BindReadOnly:
            case MountKind::Device: return bind(step, std::move(source));
            case MountKind::Tmpfs: return mount_new("tmpfs", step, MS_NOSUID | MS_NODEV, tmpfs_options(step));
            case MountKind::Proc: return mount_proc(step);
            case MountKind::Terminals:
                return mount_new("devpts", step, MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
            case MountKind::Symlink: return link(step);
            case MountKind::File: return write_file(step, step.content);
            case MountKind::CopiedFile: return copy_file(step);
            case MountKind::ShownFile: return mask(step, step.source);
            case MountKind::MaskFile: return mask(step, kEmptyFile);
            case MountKind::MaskFolder: return mask(step, kEmptyFolder);
            case MountKind::ReadOnlyInside: return mask(step, step.target);
        }
        return Error{Errc::Internal, "unknown mount step"};
    }

    [[nodiscard]] Status make_empty_places() {
        SANCTUM_CHECK(make_folder(kEmptyFolder));
        SANCTUM_TRY([[maybe_unused]] const UniqueFd file, create_file(kEmptyFile, 0444));
        return {};
    }

    [[nodiscard]] Status forbid_namespaces() {
        for (const UniqueFd& limit : namespace_limits_) {
            if (::write(limit.get(), "0", 1) != 1) return io_error("forbid further namespaces");
        }
        namespace_limits_.clear();
        return {};
    }

    /// pivot_root(2): the old root ends up on top of the new one and is taken off.
    [[nodiscard]] Status enter() const {
        if (::fchdir(root_.get()) != 0) return io_error("fchdir");
        if (kernel::pivot_root(".", ".") != 0) return io_error("pivot_root");
        if (::umount2(".", MNT_DETACH) != 0) return io_error("detach the old root");
        if (::chdir("/") != 0) return io_error("chdir /");
        return {};
    }

private:
    static std::string tmpfs_options(const MountStep& step) {
        char mode[8];
        std::snprintf(mode, sizeof mode, "%04o", step.mode);
        return "size=" + std::to_string(step.bytes_max) + ",mode=" + mode;
    }

    /// mkdir -p below the root; places made before are remembered.
    Status make_folder(const std::string& path) {
        for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
            const std::string part = path.substr(1, slash == std::string::npos ? slash : slash - 1);
            if (!part.empty() && made_.insert(part).second && ::mkdirat(root_.get(), part.c_str(), 0755) != 0 &&
                errno != EEXIST) {
                return io_error("create folder /" + part);
            }
            if (slash == std::string::npos) return {};
        }
    }

    Status make_parents(const std::string& path) {
        const std::size_t slash = path.rfind('/');
        return slash == 0 ? Status() : make_folder(path.substr(0, slash));
    }

    Result<UniqueFd> create_file(const std::string& path, mode_t mode) {
        SANCTUM_CHECK(make_parents(path));
        constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        UniqueFd file(::openat(root_.get(), path.c_str() + 1, kNew, mode));
        if (!file) return io_error("create");
        return file;
    }

    Result<UniqueFd> open_target(const std::string& path) const {
        UniqueFd target(kernel::open_place_in_root(root_.get(), path.c_str()));
        if (!target) return io_error("open the mount point");
        return target;
    }

    /// The mount point, made as what is going to cover it.
    Result<UniqueFd> make_target(const std::string& path, int like) {
        struct stat status {};
        if (::fstat(like, &status) != 0) return io_error("stat");
        UniqueFd existing(kernel::open_place_in_root(root_.get(), path.c_str()));
        if (existing) return existing;
        if (errno != ENOENT) return io_error("open the mount point");
        if (S_ISDIR(status.st_mode)) {
            SANCTUM_CHECK(make_folder(path));
        } else {
            SANCTUM_TRY([[maybe_unused]] const UniqueFd file, create_file(path, 0444));
        }
        return open_target(path);
    }

    Status attach(const UniqueFd& tree, int target) const {
        if (::move_mount(tree.get(), "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
            return io_error("move_mount");
        }
        return {};
    }

    Status bind(const MountStep& step, UniqueFd source) {
        if (!source) {
            SANCTUM_TRY(source, open_source(step));
        }
        SANCTUM_TRY(const UniqueFd target, make_target(step.target, source.get()));
        return attach(source, target.get());
    }

    Status mount_new(const char* type, const MountStep& step, unsigned long flags, const std::string& options) {
        SANCTUM_CHECK(make_folder(step.target));
        SANCTUM_TRY(const UniqueFd target, open_target(step.target));
        if (::fchdir(target.get()) != 0) return io_error("fchdir");
        if (::mount(type, ".", type, flags, options.c_str()) != 0) return io_error(std::string("mount ") + type);
        return {};
    }

    Status mount_proc(const MountStep& step) {
        Status mounted = mount_new("proc", step, MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
        if (!mounted) {
            mounted.error().what += " (a container that masks parts of /proc forbids this: see `sanctum doctor`)";
            return mounted;
        }
        for (const char* name : kNamespaceLimits) {
            SANCTUM_CHECK(open_namespace_limit(step.target, name));
        }
        return {};
    }

    /// Opened while /proc/sys is writable, written when the last mount is made: each open_tree() needs a namespace.
    Status open_namespace_limit(const std::string& proc, const std::string& name) {
        const std::string path = proc.substr(1) + "/sys/user/max_" + name + "_namespaces";
        UniqueFd file(::openat(root_.get(), path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!file && errno == ENOENT) return {};  // a kernel without this kind of namespace
        if (!file) return io_error("open /" + path);
        namespace_limits_.push_back(std::move(file));
        return {};
    }

    Status link(const MountStep& step) {
        SANCTUM_CHECK(make_parents(step.target));
        if (::symlinkat(step.source.c_str(), root_.get(), step.target.c_str() + 1) != 0) return io_error("symlink");
        return {};
    }

    Status write_file(const MountStep& step, const std::string& content) {
        SANCTUM_TRY(const UniqueFd file, create_file(step.target, step.mode));
        return write_all(file.get(), content);
    }

    Status copy_file(const MountStep& step) {
        if (step.source.empty()) return write_file(step, "");
        SANCTUM_TRY(const std::string content, read_file(step.source, kTrustBundleBytesMax));
        return write_file(step, content);
    }

    /// Puts `shown` of the new root, read-only, over the step's target.
    Status mask(const MountStep& step, const std::string& shown) {
        SANCTUM_TRY(const UniqueFd place, open_target(shown));
        SANCTUM_TRY(const UniqueFd tree, clone_tree(place.get()));
        std::uint64_t flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
        SANCTUM_CHECK(set_flags(tree.get(), flags));
        SANCTUM_TRY(const UniqueFd target, open_target(step.target));
        return attach(tree, target.get());
    }

    UniqueFd root_;
    std::set<std::string> made_;
    std::vector<UniqueFd> namespace_limits_;
};

Result<UniqueFd> mount_root() {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return io_error("make mounts private");
    const std::string options = "size=" + std::to_string(kRootBytesMax) + ",mode=0755";
    if (::mount("sanctum", kBuildPlace, "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
        return io_error("mount the root's tmpfs");
    }
    UniqueFd root(::open(kBuildPlace, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) return io_error("open the new root");
    return root;
}

}  // namespace

Result<MountSources> open_mount_sources(const SandboxPlan& plan) {
    UniqueFd mapping;
    MountSources sources(plan.mounts.size());
    for (std::size_t at = 0; at < plan.mounts.size(); ++at) {
        const MountStep& step = plan.mounts[at];
        if (!is_bind(step.kind)) continue;
        Result<UniqueFd> source = open_source(step);
        if (!source) return std::move(source).error().in(step.source);
        if (step.idmapped) {
            if (!mapping) {
                SANCTUM_TRY(mapping, make_root_to_user_mapping(plan));
            }
            Status shown = show_as_user(source->get(), mapping.get());
            if (!shown) return std::move(shown).error().in(step.source);
        }
        sources[at] = std::move(*source);
    }
    return sources;
}

Status enter_new_root(const SandboxPlan& plan, MountSources sources) {
    const mode_t callers_umask = ::umask(0);
    SANCTUM_TRY(UniqueFd root, mount_root());
    RootBuilder builder(std::move(root));
    SANCTUM_CHECK(builder.make_empty_places());
    sources.resize(plan.mounts.size());
    for (std::size_t at = 0; at < plan.mounts.size(); ++at) {
        Status applied = builder.apply(plan.mounts[at], std::move(sources[at]));
        if (!applied) return std::move(applied).error().in(plan.mounts[at].target);
    }
    ::umask(callers_umask);
    SANCTUM_CHECK(builder.forbid_namespaces());
    return builder.enter();
}

Status seal_root() {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    const int sealed = ::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes);
    return sealed == 0 ? Status() : Status(io_error("make the root read-only"));
}

}  // namespace sanctum::launcher
