// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/held_agent.hpp"

#include "base/confinement/call_filter.hpp"
#include "base/confinement/landlock.hpp"
#include "base/confinement/self_confinement.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "launcher/confine/kernel.hpp"
#include "launcher/confine/mounts.hpp"
#include "launcher/confine/release_files.hpp"
#include "launcher/confine/reports.hpp"
#include "launcher/confine/resource_limits.hpp"
#include "launcher/confine/spawn.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr int kSetupFailedStatus = 125;

/// State of the walk: what a step may use.
struct Walk {
    const HeldAgent& agent;
    UniqueFd files;     ///< from the launcher: authority and rules
    UniqueFd listener;  ///< of the filter
};

struct Step {
    const char* name;
    Status (*run)(Walk& walk);
};

/// A group of its own, which is also what signals are passed on to.
Status lead_own_group(Walk& walk) {
    if (walk.agent.plan.new_session) {
        if (::setsid() < 0) return io_error("setsid");
    } else if (::setpgid(0, 0) != 0) {
        return io_error("setpgid");
    }
    return {};
}

Status wait_at_gate(Walk& walk) {
    SANCTUM_CHECK(send_report(walk.agent.gate, kReportHeld, 0));
    SANCTUM_TRY(std::optional<Report> release, receive_report(walk.agent.gate));
    if (!release || release->what != kReportRelease || release->descriptors.size() != 1) {
        return Error{Errc::Protocol, "the launcher sent something else than the release"};
    }
    walk.files = std::move(release->descriptors.front());
    return {};
}

Status write_released_files(Walk& walk) {
    SANCTUM_TRY(const ReleaseFiles files, read_release_files(walk.files.get()));
    walk.files.reset();
    return place_release_files(files, walk.agent.plan);
}

Status seal(Walk&) { return seal_root(); }

Status enter_working_directory(Walk& walk) {
    const std::string& folder = walk.agent.plan.working_directory;
    if (::chdir(folder.c_str()) != 0) return io_error(folder);
    return {};
}

Status leave_keyring(Walk&) {
    // A kernel without keyrings has nothing to inherit.
    if (kernel::join_new_session_keyring() < 0 && errno != ENOSYS) return io_error("join a new session keyring");
    return {};
}

Status limit_resources(Walk& walk) { return set_process_limits(walk.agent.plan); }

/// As a job-control shell does it: the command's group becomes the terminal's foreground.
Status take_terminal(Walk& walk) {
    if (!walk.agent.take_terminal) return {};
    const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!terminal) return io_error("/dev/tty");
    // SIGTTOU is blocked since the launcher; a background group may then set the foreground.
    if (::tcsetpgrp(terminal.get(), ::getpgrp()) != 0) return io_error("tcsetpgrp");
    return {};
}

Status give_up_capabilities(Walk&) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return io_error("set no_new_privs");
    return drop_capabilities();
}

Status enter_landlock(Walk& walk) {
    const SandboxPlan& plan = walk.agent.plan;
    if (plan.landlock_abi == 0) return {};  // accepted by the profile, shown in the plan
    SANCTUM_TRY(LandlockRules rules, LandlockRules::create(plan.landlock_abi, LandlockRules::Tcp::Keep,
                                                           LandlockRules::Scope::Closed));
    SANCTUM_CHECK(rules.allow("/", LandlockAccess::List));
    for (const std::string& path : plan.landlock_read) {
        SANCTUM_CHECK(rules.allow(path, LandlockAccess::Read));
    }
    for (const std::string& path : plan.landlock_write) {
        SANCTUM_CHECK(rules.allow(path, LandlockAccess::ReadWrite));
    }
    return rules.enforce();
}

Status keep_standard_descriptors_only(Walk&) {
    if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return io_error("close_range");
    return {};
}

Status enter_filter(Walk& walk) {
    const SandboxPlan& plan = walk.agent.plan;
    SANCTUM_TRY(const FilterProgram program, compile_filter(plan.filter, ENOSYS, native_architecture()));
    if (!plan.attribute) return install_filter(program);
    SANCTUM_TRY(walk.listener, install_filter_with_listener(program));
    return {};
}

/// What was done is asked for once more: a call that only claimed to succeed must not let the command run.
Status verify(Walk&) {
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return Error{Errc::NotPermitted, "no_new_privs is not set"};
    if (::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2) return Error{Errc::NotPermitted, "there is no filter"};
    int held = 0;
    for (int capability = 0; (held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0; ++capability) {
        if (held != 0) return Error{Errc::NotPermitted, "the capability bounding set is not empty"};
    }
    if (errno != EINVAL) return io_error("read the capability bounding set");
    return {};
}

Status report_confined(Walk& walk) {
    if (!walk.listener) return send_report(walk.agent.gate, kReportConfined, 0);
    const int listener[] = {walk.listener.get()};
    SANCTUM_CHECK(send_report(walk.agent.gate, kReportConfined, 0, {}, listener));
    walk.listener.reset();
    return {};
}

/// Dispositions stay as the caller of sanctum-run left them (nohup), the mask does not.
Status unblock_signals(Walk&) {
    sigset_t none;
    sigemptyset(&none);
    if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return io_error("sigprocmask");
    return {};
}

// The order matters: files while this process still owns its namespaces, then everything that only takes away, the
// filter last because it forbids most of what comes before it.
constexpr Step kSteps[] = {
    {"process group", lead_own_group},
    {"gate", wait_at_gate},
    {"released files", write_released_files},
    {"read-only root", seal},
    {"working directory", enter_working_directory},
    {"keyring", leave_keyring},
    {"limits", limit_resources},
    {"terminal", take_terminal},
    {"capabilities", give_up_capabilities},
    {"landlock", enter_landlock},
    {"descriptors", keep_standard_descriptors_only},
    {"filter", enter_filter},
    {"verification", verify},
    {"report", report_confined},
    {"signals", unblock_signals},
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// execvp(3) over the plan's PATH, without its fallback to a shell. Returns the error number of the failure.
int exec_command(const SandboxPlan& plan) {
    std::vector<std::string> words = plan.command;
    std::vector<std::string> settings;
    for (const auto& [name, value] : plan.environment) settings.push_back(name + "=" + value);
    const std::vector<char*> arguments = pointers_to(words);
    const std::vector<char*> environment = pointers_to(settings);

    const std::string& program = plan.command.front();
    if (program.find('/') != std::string::npos) {
        ::execve(program.c_str(), arguments.data(), environment.data());
        return errno;
    }
    const auto path = plan.environment.find("PATH");
    const std::string folders = path == plan.environment.end() ? "" : path->second;
    int error = ENOENT;
    for (std::size_t start = 0; start <= folders.size();) {
        const std::size_t end = std::min(folders.find(':', start), folders.size());
        const std::string candidate = folders.substr(start, end - start) + "/" + program;
        if (candidate.front() == '/' && end > start) {
            ::execve(candidate.c_str(), arguments.data(), environment.data());
            if (errno != ENOENT && errno != ENOTDIR) error = errno;
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return error;
        }
        start = end + 1;
    }
    return error;
}

[[noreturn]] void fail(const HeldAgent& agent, InitEvent::What what, int error, const std::string& step) {
    // The reports' own failures have nobody left to be told to; init sees this process end in any case.
    const std::uint8_t failed = static_cast<std::uint8_t>(what);
    [[maybe_unused]] const Status sent = send_report(agent.gate, failed, error, step);
    [[maybe_unused]] const ssize_t told = ::write(agent.started, &failed, sizeof failed);
    ::_exit(kSetupFailedStatus);
}

}  // namespace

void run_held_agent(const HeldAgent& agent) {
    Walk walk{agent, {}, {}};
    for (const Step& step : kSteps) {
        Status done = step.run(walk);
        if (!done) {
            fail(agent, InitEvent::What::SetupFailed, done.error().sys_errno,
                 std::string(step.name) + ": " + done.error().what);
        }
    }
    // From here on the process is what the agent will be; nothing of ours runs in it but this last call.
    const int error = exec_command(agent.plan);
    fail(agent, InitEvent::What::ExecFailed, error, agent.plan.command.front());
}

}  // namespace sanctum::launcher
