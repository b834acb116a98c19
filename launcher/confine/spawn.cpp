// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/spawn.hpp"

#include "base/clock.hpp"
#include "base/limits.hpp"
#include "launcher/confine/identity.hpp"
#include "launcher/confine/init.hpp"
#include "launcher/confine/kernel.hpp"
#include "launcher/confine/mounts.hpp"
#include "launcher/confine/network.hpp"
#include "launcher/confine/release_files.hpp"
#include "launcher/confine/reports.hpp"
#include "launcher/confine/resource_limits.hpp"
#include "launcher/confine/standard_descriptors.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr std::uint64_t kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                                      CLONE_NEWUTS | CLONE_NEWCGROUP;

Error in_confine(Error error) { return std::move(error).in("confine"); }

/// Both ends of what connects launcher, init and held agent.
struct Ends {
    UniqueFd alive_read, alive_write;
    UniqueFd events_launcher, events_init;
    UniqueFd gate_launcher, gate_agent;
};

Result<Ends> make_ends() {
    Ends ends;
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return io_error("pipe2");
    ends.alive_read.reset(pipe_ends[0]);
    ends.alive_write.reset(pipe_ends[1]);
    SANCTUM_TRY(auto events, make_report_pair());
    SANCTUM_TRY(auto gate, make_report_pair());
    ends.events_launcher = std::move(events.first);
    ends.events_init = std::move(events.second);
    ends.gate_launcher = std::move(gate.first);
    ends.gate_agent = std::move(gate.second);
    // The kernel then tells who wrote: the agent's pid as this process sees it.
    const int on = 1;
    const int gate_end = ends.gate_launcher.get();
    if (::setsockopt(gate_end, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return io_error("SO_PASSCRED");
    return ends;
}

Error namespaces_refused(int sys_errno) {
    Error error = io_error("namespaces: clone3", sys_errno);
    // ENOSYS: what container engines' filters answer to a clone3 that they cannot look into.
    if (sys_errno == EPERM || sys_errno == EACCES || sys_errno == ENOSYS) {
        error.code = Errc::NotPermitted;
        error.what += " (this machine or container forbids user namespaces: see `sanctum doctor`)";
    } else if (sys_errno == ENOSPC || sys_errno == EUSERS) {
        error.code = Errc::NotPermitted;
        error.what += " (the machine's limit of namespaces is reached: see user.max_user_namespaces)";
    }
    return error;
}

/// What root does for a child that is nobody yet.
Status let_child_go_on(const SandboxPlan& plan, const ConfinedAgent& agent) {
    Status joined = join_control_groups(plan, agent.init_pid);
    if (!joined) return std::move(joined).error().in("control group");
    if (plan.map_by_parent) {
        Status mapped = map_id_of(agent.init_pid, plan);
        if (!mapped) return std::move(mapped).error().in("id maps");
    }
    return send_report(agent.events.get(), kReportGoOn, 0);
}

/// A report that should be `wanted`; otherwise what went wrong in the child.
Result<Report> expect_report(int socket, std::uint8_t wanted) {
    SANCTUM_TRY(Report report, await_report(socket, kSetupTimeout));
    if (report.what == wanted) return report;
    if (report.what == static_cast<std::uint8_t>(InitEvent::What::SetupFailed)) {
        return Error{Errc::Io, report.step, report.value};
    }
    return Error{Errc::Protocol, "the child sent something else"};
}

Status take_sockets(const SandboxPlan& plan, ConfinedAgent& agent) {
    SANCTUM_TRY(Report report, expect_report(agent.events.get(), kReportHeld));
    std::vector<std::string> roles = namespace_socket_roles(plan);
    const std::size_t more = plan.delegate ? 1 : 0;
    if (report.descriptors.size() != roles.size() + more) {
        return Error{Errc::Protocol, "init sent another number of sockets"};
    }
    for (std::size_t at = 0; at < roles.size(); ++at) {
        agent.sockets.push_back({std::move(roles[at]), std::move(report.descriptors[at])});
    }
    if (plan.delegate) agent.delegation = std::move(report.descriptors.back());
    return {};
}

Status find_held_agent(ConfinedAgent& agent) {
    SANCTUM_TRY(const Report report, expect_report(agent.gate.get(), kReportHeld));
    if (report.sender <= 0) return Error{Errc::Protocol, "the held agent has no process id here"};
    agent.agent_pid = report.sender;
    agent.agent_pidfd.reset(kernel::open_process(agent.agent_pid));
    if (!agent.agent_pidfd) return io_error("pidfd_open of the held agent");
    return {};
}

bool is_in_foreground() {
    const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    return terminal && ::tcgetpgrp(terminal.get()) == ::getpgrp();
}

Status finish_spawn(const SandboxPlan& plan, ConfinedAgent& agent, bool child_waits) {
    if (child_waits) {
        SANCTUM_CHECK(let_child_go_on(plan, agent));
    }
    SANCTUM_CHECK(take_sockets(plan, agent));
    SANCTUM_CHECK(find_held_agent(agent));
    if (::fcntl(agent.events.get(), F_SETFL, O_NONBLOCK) != 0) return io_error("fcntl");
    return {};
}

/// The gate closes by itself when the command is executed; until then every word on it is a failure.
Status await_exec(ConfinedAgent& agent) {
    Result<Report> report = await_report(agent.gate.get(), kSetupTimeout);
    agent.gate.reset();
    if (!report && report.error().code == Errc::Cancelled) return {};
    if (!report) return std::move(report).error();
    if (report->what != static_cast<std::uint8_t>(InitEvent::What::ExecFailed)) {
        return Error{Errc::Protocol, "the held agent sent something else"};
    }
    Error error = io_error(report->step, report->value);
    error.code = report->value == ENOENT ? Errc::NotFound : Errc::NotPermitted;
    return error;
}

}  // namespace

Result<ConfinedAgent> spawn_confined(const SandboxPlan& plan, const StandardDescriptors& standard) {
    SANCTUM_ASSERT(plan.host_uid != 0 && !plan.filter.empty() && !plan.command.empty());
    Status checked = check_standard_descriptors();
    if (!checked) return in_confine(std::move(checked).error());
    Result<Ends> made = make_ends();
    if (!made) return in_confine(std::move(made).error());
    Ends ends = std::move(*made);

    InitStart start(plan);
    if (plan.map_by_parent) {
        Result<MountSources> sources = open_mount_sources(plan);
        if (!sources) return in_confine(std::move(sources).error().in("root filesystem"));
        start.sources = std::move(*sources);
    }
    start.alive = ends.alive_read.get();
    start.events = ends.events_init.get();
    start.gate = ends.gate_agent.get();
    start.standard = standard;
    start.wait_for_launcher = plan.map_by_parent || !control_groups(plan).empty();
    start.take_terminal = !plan.new_session && is_in_foreground();
    start.ends_boot_ms = SystemClock().boot().plus(Milliseconds(plan.ttl_ms) + kInitTimerGrace).ms;
    const bool child_waits = start.wait_for_launcher;

    ConfinedAgent agent;
    int pidfd = -1;
    const pid_t init = kernel::fork_with_flags(kNamespaces, &pidfd);
    if (init == 0) run_init(std::move(start));
    if (init < 0) return in_confine(namespaces_refused(errno));
    agent.init_pid = init;
    agent.init_pidfd.reset(pidfd);
    agent.alive = std::move(ends.alive_write);
    agent.events = std::move(ends.events_launcher);
    agent.gate = std::move(ends.gate_launcher);
    agent.control_groups = control_groups(plan);
    // Our copies of the children's ends go, so that a dead child is seen as an end of file.
    ends = Ends{};

    Status finished = finish_spawn(plan, agent, child_waits);
    if (!finished) {
        kill_tree(agent);
        return in_confine(std::move(finished).error());
    }
    return agent;
}

Status release(ConfinedAgent& agent, const SandboxPlan& plan, const std::string& ca_pem,
               const std::string& policy_json) {
    SANCTUM_TRY(const ReleaseFiles files, make_release_files(ca_pem, policy_json));
    SANCTUM_TRY(const UniqueFd packed, pack_release_files(files));
    const int descriptors[] = {packed.get()};
    SANCTUM_CHECK(send_report(agent.gate.get(), kReportRelease, 0, {}, descriptors));
    Result<Report> confined = expect_report(agent.gate.get(), kReportConfined);
    if (!confined) return in_confine(std::move(confined).error());
    if (plan.attribute) {
        if (confined->descriptors.size() != 1) return in_confine({Errc::Protocol, "the filter's listener is missing"});
        agent.notify = std::move(confined->descriptors.front());
    }
    return await_exec(agent);
}

Result<std::optional<InitEvent>> next_event(ConfinedAgent& agent) {
    SANCTUM_TRY(std::optional<Report> report, receive_report(agent.events.get(), MSG_DONTWAIT));
    if (!report) return std::optional<InitEvent>();
    if (report->what > static_cast<std::uint8_t>(InitEvent::What::TimeRanOut)) {
        return Error{Errc::Protocol, "init sent an unknown event"};
    }
    return std::optional(InitEvent{static_cast<InitEvent::What>(report->what), report->value, std::move(report->step)});
}

Status order(ConfinedAgent& agent, InitOrder what, int signal) {
    return send_report(agent.events.get(), static_cast<std::uint8_t>(what), signal);
}

void kill_tree(ConfinedAgent& agent) {
    if (agent.init_pid > 0) {
        ::kill(agent.init_pid, SIGKILL);
        while (::waitpid(agent.init_pid, nullptr, 0) < 0 && errno == EINTR) {}
        agent.init_pid = -1;
    }
    remove_control_groups(agent.control_groups);
    agent.control_groups.clear();
}

}  // namespace sanctum::launcher
