// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/child_process.hpp"

#include "launcher/run/signals.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

// Above every number that is assigned below, so that moving one descriptor never overwrites another.
constexpr int kOutOfTheWay = 16;

// Puts `fd` on `target`; `target` is free or about to be replaced on purpose.
bool place(int fd, int target, int flags) { return fd == target || ::dup3(fd, target, flags) == target; }

}  // namespace

int settle_in_child(int kept, int report, ChildStderr child_stderr) {
    if (::setsid() < 0) return errno;
    Signals::reset_in_child();
    ::umask(077);
    if (::chdir("/") != 0) return errno;
    const int high_kept = ::fcntl(kept, F_DUPFD, kOutOfTheWay);
    const int high_report = report < 0 ? -1 : ::fcntl(report, F_DUPFD, kOutOfTheWay);
    const int high_stderr = ::fcntl(STDERR_FILENO, F_DUPFD, kOutOfTheWay);
    const int opened = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    const int nothing = opened < 0 ? -1 : ::fcntl(opened, F_DUPFD, kOutOfTheWay);
    if (high_kept < 0 || nothing < 0 || (report >= 0 && high_report < 0)) return errno;
    const int error_to = child_stderr == ChildStderr::Keep && high_stderr >= 0 ? high_stderr : nothing;
    if (!place(nothing, STDIN_FILENO, 0) || !place(nothing, STDOUT_FILENO, 0) || !place(error_to, STDERR_FILENO, 0) ||
        !place(high_kept, kChannelDescriptor, 0)) {
        return errno;
    }
    int last = kChannelDescriptor;
    if (high_report >= 0) {
        if (!place(high_report, ++last, O_CLOEXEC)) return errno;
    }
    return ::syscall(SYS_close_range, last + 1, ~0U, 0) == 0 ? 0 : errno;
}

std::vector<char*> exec_pointers(std::span<const std::string> texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
}

}  // namespace sanctum::launcher
