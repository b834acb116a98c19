// SPDX-License-Identifier: Apache-2.0
// Tries one thing with one path.
#include "tests/probes/probe.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace {

constexpr const char* kUsage =
    "probe_files read|write|create|rename|remove|device|setid|make_setid|mount|execute PATH [TO]";

int open_and_touch(const char* op, const char* path, int flags) {
    const int file = ::open(path, flags | O_CLOEXEC, 0644);
    if (file < 0) return probe::report_call(op, -1);
    char byte = 'x';
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes) return probe::report_call(op, (flags & O_CREAT) != 0 ? ::write(file, &byte, 1) : 0);
    return probe::report_call(op, ::read(file, &byte, 1));
}

}  // namespace

int main(int count, char** words) {
    probe::require_mission();
    if (count < 3) probe::usage(kUsage);
    const std::string op = words[1];
    const char* path = words[2];
    if (op == "read") return open_and_touch("read", path, O_RDONLY);
    if (op == "write") return open_and_touch("write", path, O_WRONLY);
    if (op == "create") return open_and_touch("create", path, O_WRONLY | O_CREAT | O_EXCL);
    if (op == "rename" && count == 4) return probe::report_call("rename", ::rename(path, words[3]));
    if (op == "remove") return probe::report_call("remove", ::unlink(path));
    if (op == "device") return probe::report_call("device", ::mknod(path, S_IFCHR | 0666, makedev(1, 3)));
    if (op == "setid") return probe::report_call("setid", ::chmod(path, 04755));
    if (op == "make_setid") return probe::report_call("make_setid", ::open(path, O_WRONLY | O_CREAT | O_EXCL, 04755));
    if (op == "mount") return probe::report_call("mount", ::mount("x", path, "tmpfs", 0, nullptr));
    if (op == "execute") return probe::report_call("execute", ::execl(path, path, nullptr));
    probe::usage(kUsage);
}
