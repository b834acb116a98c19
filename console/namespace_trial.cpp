// SPDX-License-Identifier: Apache-2.0
#include "console/namespace_trial.hpp"

#include "base/unique_fd.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::console {
namespace {

constexpr unsigned kUnmappedUser = 65534;

struct Step {
    int flag;
    const char* name;
};
constexpr std::array<Step, 5> kSteps = {{{CLONE_NEWUSER, "user namespace"},
                                         {CLONE_NEWNS, "mount namespace"},
                                         {CLONE_NEWNET, "network namespace"},
                                         {CLONE_NEWPID, "process namespace"},
                                         {CLONE_NEWUTS, "host name namespace"}}};
constexpr std::size_t kNameStep = kSteps.size();
constexpr std::size_t kProcStep = kSteps.size() + 1;
constexpr std::size_t kMapStep = kSteps.size() + 2;
constexpr std::string_view kTrialHostName = "trial";

// What the child says over its pipe.
struct Report {
    std::size_t step = 0;
    int sys_errno = 0;
};

void say(int fd, std::size_t step, int sys_errno) {
    const Report report{step, sys_errno};
    if (::write(fd, &report, sizeof report) != static_cast<ssize_t>(sizeof report)) ::_exit(1);
}

// In the process namespace: a /proc of its own, which a container that masks /proc refuses.
void try_proc(int reports) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        const bool is_private = ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        const bool is_mounted = is_private && ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                                      nullptr) == 0;
        ::_exit(is_mounted ? 0 : errno);
    }
    int status = 0;
    if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) ::_exit(1);
    say(reports, kProcStep, WEXITSTATUS(status));
}

[[noreturn]] void run_child(int reports, int go_on) {
    for (std::size_t i = 0; i < kSteps.size(); ++i) {
        // A process that cannot be dumped cannot be mapped by its parent; the flag falls with each change of identity.
        ::prctl(PR_SET_DUMPABLE, 1);
        const int failed = ::unshare(kSteps[i].flag) == 0 ? 0 : errno;
        ::prctl(PR_SET_DUMPABLE, 1);
        say(reports, i, failed);
        if (failed != 0) ::_exit(0);
        char byte = 0;
        if (i == 0 && ::read(go_on, &byte, 1) != 1) ::_exit(0);
    }
    // Podman's own filter allows the namespaces and forbids this.
    const bool is_named = ::sethostname(kTrialHostName.data(), kTrialHostName.size()) == 0;
    say(reports, kNameStep, is_named ? 0 : errno);
    if (is_named) try_proc(reports);
    ::_exit(0);
}

int write_map(pid_t pid, const char* name, const std::string& text) {
    const UniqueFd fd(::open(("/proc/" + std::to_string(pid) + "/" + name).c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd) return errno;
    return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

// As the launcher does it: one id, never 0.
int map_child(pid_t pid) {
    const auto line = [](unsigned id) {
        const std::string text = std::to_string(id == 0 ? kUnmappedUser : id);
        return text + " " + text + " 1\n";
    };
    if (const int failed = write_map(pid, "setgroups", "deny")) return failed;
    if (const int failed = write_map(pid, "uid_map", line(::geteuid()))) return failed;
    return write_map(pid, "gid_map", line(::getegid()));
}

void take(NamespaceTrial& trial, const Report& report) {
    if (report.sys_errno != 0) {
        trial.failed_at = report.step < kSteps.size() ? kSteps[report.step].name
                          : report.step == kNameStep  ? "setting a host name"
                          : report.step == kProcStep  ? "mounting /proc"
                                                      : "mapping ids";
        trial.sys_errno = report.sys_errno;
        return;
    }
    bool host_name_namespace = false;  // alone it is of no use
    std::array<bool*, 7> results = {&trial.user,          &trial.mount,     &trial.network, &trial.pid,
                                    &host_name_namespace, &trial.host_name, &trial.proc};
    if (report.step < results.size()) *results[report.step] = true;
}

}  // namespace

NamespaceTrial try_namespaces() {
    NamespaceTrial trial;
    int reports[2] = {-1, -1};
    int go_on[2] = {-1, -1};
    if (::pipe2(reports, O_CLOEXEC) != 0 || ::pipe2(go_on, O_CLOEXEC) != 0) {
        take(trial, {kMapStep, errno});
        return trial;
    }
    const UniqueFd reading(reports[0]);
    UniqueFd writing(reports[1]);
    const UniqueFd waiting(go_on[0]);
    UniqueFd starting(go_on[1]);
    const pid_t pid = ::fork();
    if (pid == 0) {
        starting.reset();
        run_child(writing.get(), waiting.get());
    }
    writing.reset();
    Report report;
    while (pid > 0 && ::read(reading.get(), &report, sizeof report) == static_cast<ssize_t>(sizeof report)) {
        take(trial, report);
        if (report.step != 0 || report.sys_errno != 0) continue;
        if (const int failed = map_child(pid)) take(trial, {kMapStep, failed});
        else if (::write(starting.get(), "x", 1) != 1) break;
        starting.reset();
    }
    int status = 0;
    if (pid > 0) ::waitpid(pid, &status, 0);
    if (!trial.proc && trial.failed_at.empty()) trial.failed_at = "starting a child";
    return trial;
}

}  // namespace sanctum::console
