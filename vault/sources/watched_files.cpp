// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/watched_files.hpp"

#include "profiles/schema/owned_file.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

constexpr std::uint32_t kEvents = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM |
                                  IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

std::string folder_of_file(const std::string& file) {
    return file.substr(0, std::max<std::size_t>(file.rfind('/'), 1));
}

}  // namespace

WatchedFiles::WatchedFiles(std::vector<std::string> files) : files_(std::move(files)) {
    const auto is_file = [](const std::string& file) { return !file.empty(); };
    if (std::any_of(files_.begin(), files_.end(), is_file)) {
        inotify_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    }
    watch_folders();
    for (const std::string& file : files_) states_.push_back(state_of(file));
}

// A folder that is watched already stays watched; the place that a link leads to may be another one now.
void WatchedFiles::watch_folders() {
    if (!inotify_) return;
    for (const std::string& file : files_) {
        if (file.empty()) continue;
        ::inotify_add_watch(inotify_.get(), folder_of_file(file).c_str(), kEvents);
        char* real = ::realpath(file.c_str(), nullptr);
        if (real == nullptr) continue;
        ::inotify_add_watch(inotify_.get(), folder_of_file(real).c_str(), kEvents);
        std::free(real);
    }
}

WatchedFiles::State WatchedFiles::state_of(const std::string& file) {
    struct stat status {};
    if (file.empty() || ::stat(file.c_str(), &status) != 0) return {};
    const auto nanoseconds = [](const timespec& time) {
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    };
    return {static_cast<std::int64_t>(status.st_dev),  static_cast<std::int64_t>(status.st_ino),
            static_cast<std::int64_t>(status.st_size), nanoseconds(status.st_mtim),
            nanoseconds(status.st_ctim),               static_cast<std::int64_t>(status.st_uid),
            static_cast<std::int64_t>(status.st_mode)};
}

std::vector<std::size_t> WatchedFiles::take_changes() {
    alignas(inotify_event) std::array<char, 16 * (sizeof(inotify_event) + NAME_MAX + 1)> events;
    while (::read(inotify_.get(), events.data(), events.size()) > 0 || errno == EINTR) {}
    watch_folders();
    std::vector<std::size_t> changed;
    for (std::size_t i = 0; i < files_.size(); ++i) {
        const State now = state_of(files_[i]);
        if (now == states_[i]) continue;
        states_[i] = now;
        changed.push_back(i);
    }
    return changed;
}

Result<std::size_t> read_secret_file(const std::string& file, std::vector<char>& bytes) {
    SANCTUM_TRY(const UniqueFd fd, profiles::open_owned_file(file, profiles::Secrecy::Private));
    std::size_t used = 0;
    while (used < bytes.size()) {
        const ssize_t size = ::read(fd.get(), bytes.data() + used, bytes.size() - used);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return io_error("read " + file);
        if (size == 0) break;
        used += static_cast<std::size_t>(size);
    }
    return used;
}

}  // namespace sanctum::vault
