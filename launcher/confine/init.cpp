// SPDX-License-Identifier: Apache-2.0
#include "launcher/confine/init.hpp"

#include "base/limits.hpp"
#include "launcher/confine/held_agent.hpp"
#include "launcher/confine/identity.hpp"
#include "launcher/confine/init_loop.hpp"
#include "launcher/confine/network.hpp"
#include "launcher/confine/reports.hpp"
#include "launcher/confine/resource_limits.hpp"
#include "launcher/plan/fixed_places.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr int kFailedStatus = 125;

/// State of the walk: what a step may use and leave for the next ones.
struct Walk {
    InitStart start;
    std::vector<NamespaceSocket> sockets;
    UniqueFd started;  ///< read end of the held agent's pipe
    pid_t agent = -1;
};

struct Step {
    const char* name;
    Status (*run)(Walk& walk);
};

/// Everything above 2 but what is named is closed: an inherited descriptor is a way out, and a copy of the launcher's
/// end of `alive` would keep this process from seeing the launcher go.
Status close_inherited(Walk& walk) {
    std::vector<unsigned> kept{static_cast<unsigned>(walk.start.alive), static_cast<unsigned>(walk.start.events),
                               static_cast<unsigned>(walk.start.gate)};
    for (const UniqueFd& source : walk.start.sources) {
        if (source) kept.push_back(static_cast<unsigned>(source.get()));
    }
    for (const int fd : walk.start.standard) {
        if (fd > STDERR_FILENO) kept.push_back(static_cast<unsigned>(fd));
    }
    std::sort(kept.begin(), kept.end());
    unsigned first = 3;
    for (const unsigned fd : kept) {
        if (fd > first && ::close_range(first, fd - 1, 0) != 0) return io_error("close_range");
        first = std::max(first, fd + 1);
    }
    if (::close_range(first, ~0U, 0) != 0) return io_error("close_range");
    return {};
}

/// Standard signals mean nothing to process 1 of a namespace; blocked, they cannot interrupt a step either.
Status block_signals(Walk&) {
    sigset_t all;
    sigfillset(&all);
    if (::sigprocmask(SIG_SETMASK, &all, nullptr) != 0) return io_error("sigprocmask");
    return {};
}

Status wipe_past(Walk&) { return wipe_process_image(); }

/// The files of /proc/self that the next two steps write belong to us only while we are dumpable.
Status become_dumpable(Walk&) {
    if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return io_error("become dumpable for the id maps");
    return {};
}

Status raise_oom_score(Walk&) { return offer_to_oom_killer(); }

Status map_ids(Walk& walk) {
    if (!walk.start.plan.map_by_parent) {
        SANCTUM_CHECK(map_own_id(walk.start.plan));
    }
    if (!walk.start.wait_for_launcher) return {};
    SANCTUM_TRY(const std::optional<Report> report, receive_report(walk.start.events));
    if (!report || report->what != kReportGoOn) return Error{Errc::Protocol, "the launcher sent something else"};
    return {};
}

Status become_plans_user(Walk& walk) {
    return walk.start.plan.map_by_parent ? become_user(walk.start.plan) : Status();
}

/// From here on no process of this tree is dumpable until the command was executed: nobody inside can look into it.
Status become_undumpable_again(Walk&) {
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return io_error("become undumpable");
    return {};
}

Status leave_group(Walk& walk) {
    // With a terminal init stays in the launcher's session: a group whose parents are all in another session could not
    // be stopped by Ctrl-Z. It is in a group of its own in any case, so that kill(0) reaches nobody of ours.
    if (walk.start.plan.new_session) {
        if (::setsid() < 0) return io_error("setsid");
    } else if (::setpgid(0, 0) != 0) {
        return io_error("setpgid");
    }
    return {};
}

Status name_machine(Walk&) {
    const std::string name = kHostName;
    if (::sethostname(name.data(), name.size()) != 0) {
        Error error = io_error("sethostname");
        error.what += " (a container's filter of system calls forbids this: see `sanctum doctor`)";
        return error;
    }
    if (::setdomainname("", 0) != 0) return io_error("setdomainname");
    return {};
}

Status set_up_network(Walk& walk) { return make_every_address_local(walk.start.plan); }

Status open_sockets(Walk& walk) {
    SANCTUM_TRY(walk.sockets, open_namespace_sockets(walk.start.plan));
    return {};
}

Status set_up_root(Walk& walk) { return enter_new_root(walk.start.plan, std::move(walk.start.sources)); }

/// The one thing that `delegate = true` adds inside. Whoever is inside may connect; the launcher looks at who it was.
Status open_delegation_socket(Walk& walk) {
    if (!walk.start.plan.delegate) return {};
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return io_error("socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string_view place = kDelegateSocket;
    place.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return io_error("bind");
    if (::chmod(kDelegateSocket, 0666) != 0) return io_error("chmod");
    if (::listen(socket.get(), static_cast<int>(kChildMissionsMax)) != 0) return io_error("listen");
    walk.sockets.push_back({"delegate", std::move(socket)});
    return {};
}

/// Above 2 they are nobody's business any more once the agent has them.
Status take_standard_descriptors(const InitStart& start) {
    for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
        const int given = start.standard[static_cast<std::size_t>(fd)];
        if (given >= 0 && ::dup2(given, fd) != fd) return io_error("dup2");
    }
    return {};
}

Status fork_agent(Walk& walk) {
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return io_error("pipe2");
    UniqueFd started(pipe_ends[0]);
    UniqueFd starting(pipe_ends[1]);
    const pid_t agent = ::fork();
    if (agent < 0) return io_error("fork");
    if (agent == 0) {
        ::close(walk.start.alive);
        ::close(walk.start.events);
        started.reset();
        walk.sockets.clear();
        // A failure here is seen as the end of the pipe: nothing was reported as held.
        if (!take_standard_descriptors(walk.start)) ::_exit(kFailedStatus);
        run_held_agent({walk.start.plan, walk.start.gate, starting.get(), walk.start.take_terminal});
    }
    ::close(walk.start.gate);
    walk.started = std::move(started);
    walk.agent = agent;
    return {};
}

Status hand_over_sockets(Walk& walk) {
    std::vector<int> descriptors;
    for (const NamespaceSocket& socket : walk.sockets) descriptors.push_back(socket.fd.get());
    SANCTUM_CHECK(send_report(walk.start.events, kReportHeld, walk.agent, {}, descriptors));
    walk.sockets.clear();
    return {};
}

/// An open end of the caller's pipe in init would outlive the command's own.
Status drop_standard_descriptors(Walk& walk) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return io_error("/dev/null");
    for (int fd = 0; fd <= 2; ++fd) {
        if (::dup2(null.get(), fd) < 0) return io_error("dup2");
    }
    for (const int fd : walk.start.standard) {
        if (fd > STDERR_FILENO) ::close(fd);
    }
    return {};
}

constexpr Step kSteps[] = {
    {"descriptors", close_inherited},
    {"signals", block_signals},
    {"process image", wipe_past},
    {"dumpable", become_dumpable},
    {"oom score", raise_oom_score},
    {"id maps", map_ids},
    {"user", become_plans_user},
    {"undumpable", become_undumpable_again},
    {"process group", leave_group},
    {"host name", name_machine},
    {"network", set_up_network},
    {"listeners", open_sockets},
    {"root filesystem", set_up_root},
    {"delegation", open_delegation_socket},
    {"agent", fork_agent},
    {"hand-over", hand_over_sockets},
    {"standard descriptors", drop_standard_descriptors},
};

[[noreturn]] void fail(int events, const std::string& step, const Error& error) {
    // If the launcher is gone there is nobody to tell; this process ends, and with it the namespace.
    const auto failed = static_cast<std::uint8_t>(InitEvent::What::SetupFailed);
    [[maybe_unused]] const Status sent = send_report(events, failed, error.sys_errno, step + ": " + error.what);
    ::_exit(kFailedStatus);
}

}  // namespace

void run_init(InitStart start) {
    Walk walk{std::move(start), {}, {}, -1};
    for (const Step& step : kSteps) {
        Status done = step.run(walk);
        if (!done) fail(walk.start.events, step.name, done.error());
    }
    InitLoop loop{walk.start.alive, walk.start.events, walk.started.release(), walk.agent, -1, -1};
    Status prepared = prepare_init_loop(loop, walk.start.ends_boot_ms);
    if (!prepared) fail(walk.start.events, "init", prepared.error());
    run_init_loop(loop);
}

}  // namespace sanctum::launcher
