// SPDX-License-Identifier: Apache-2.0
#include "interceptor/interceptor.hpp"

#include "base/confinement/self_confinement.hpp"
#include "base/log.hpp"
#include "interceptor/mission_server.hpp"
#include "interceptor/start.hpp"
#include "network/dialler.hpp"

#include <csignal>
#include <fcntl.h>
#include <malloc.h>
#include <memory>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum::interceptor {
namespace {

constexpr int kHeapKeptBytes = 1024 * 1024;

SelfConfinement interceptor_confinement(const network::RootCertificates& roots) {
    SelfConfinement confinement;
    const auto common = calls_of_any_process();
    confinement.calls.assign(common.begin(), common.end());
    // No socket, no connect, no bind, no listen: what it reads and writes was handed to it.
    const AllowedCall own[] = {
        {SYS_epoll_ctl, "the loop"},
        {SYS_epoll_pwait, "the loop"},
#ifdef SYS_epoll_wait
        {SYS_epoll_wait, "the loop"},
#endif
#ifdef SYS_poll
        {SYS_poll, "waiting for room in a channel"},
#endif
        {SYS_ppoll, "waiting for room in a channel"},
        {SYS_timerfd_settime, "deadlines"},
        {SYS_ioctl, "FIONBIO of accepted sockets"},
        {SYS_accept4, "agent connections"},
        {SYS_getsockname, "the address that was dialled"},
        {SYS_getsockopt, "pending errors"},
        {SYS_setsockopt, "TCP_NODELAY"},
        {SYS_shutdown, "orderly ends"},
        {SYS_recvfrom, "agent and upstream bytes"},
        {SYS_sendto, "agent and upstream bytes"},
        {SYS_recvmsg, "channels, DNS"},
        {SYS_sendmsg, "channels, DNS"},
        {SYS_openat, "root certificates, where Landlock lets it"},
#ifdef SYS_stat
        {SYS_stat, "root certificates"},
#endif
    };
    confinement.calls.insert(confinement.calls.end(), std::begin(own), std::end(own));
    for (const std::string& path : roots.readable) {
        confinement.paths.push_back({path, AllowedPath::Access::Read});
    }
    return confinement;
}

struct Serving {
    std::unique_ptr<Loop> loop;
    std::unique_ptr<MissionServer> server;
};

// Everything up to Ready. Every step is fatal. The channel is moved from once the server takes it.
Result<Serving> start_up(wire::Channel& launcher) {
    SANCTUM_TRY(Start start, receive_start(launcher));
    SANCTUM_TRY(network::DialTable table,
                network::DialTable::create(profiles::dial_entries(start.mission), start.upstream));
    SANCTUM_TRY(network::DiallerProcess dialler, network::fork_dialler(std::move(table), start.upstream.resolver));
    // From here on this process has no network of its own: what it serves was opened by others.
    SANCTUM_CHECK(enter_empty_network());
    SANCTUM_CHECK(become_undumpable());
    // After the last change of credentials, which clears it; the launcher's channel is the first lock.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return io_error("PR_SET_PDEATHSIG");

    Serving serving;
    const network::RootCertificates roots = network::find_root_certificates();
    SANCTUM_TRY(serving.loop, Loop::create());
    wire::Channel channel = std::move(launcher);
    auto server = MissionServer::create(*serving.loop, std::move(start), std::move(channel), std::move(dialler.channel),
                                        roots);
    if (!server) return std::move(server).error();
    serving.server = std::move(*server);
    SANCTUM_CHECK(confine_self(interceptor_confinement(roots)));
    // From here on bytes of the agent may come in.
    SANCTUM_CHECK(serving.server->serve(static_cast<std::uint64_t>(dialler.pid)));
    return serving;
}

// Whatever else the parent left open is closed: only what the launcher hands over has a place here.
Status close_others(int kept) {
    const auto middle = static_cast<unsigned>(kept);
    if (middle > 3 && ::syscall(SYS_close_range, 3U, middle - 1, 0U) != 0) return io_error("close_range");
    if (::syscall(SYS_close_range, middle + 1, ~0U, 0U) != 0) return io_error("close_range");
    return {};
}

}  // namespace

int run_interceptor(UniqueFd launcher_channel) {
    if (!close_others(launcher_channel.get())) return 1;
    // TLS takes its record buffers anew for each record: without this the heap's end goes back to the system each time.
    ::mallopt(M_TRIM_THRESHOLD, kHeapKeptBytes);
    network::initialise_openssl();
    wire::Channel launcher(std::move(launcher_channel));
    // A second descriptor of the channel, for the one sentence that a failed start leaves.
    wire::Channel last_words(UniqueFd(::fcntl(launcher.fd(), F_DUPFD_CLOEXEC, 3)));
    Result<Serving> serving = start_up(launcher);
    if (!serving) {
        const std::string what = "interceptor: " + serving.error().what;
        log::error(what);
        const Status said = last_words.send(wire::Failed{what, "setup"});
        if (!said) log::error(said.error().what);
        return 1;
    }
    last_words.close();
    serving->loop->run();
    return serving->server->exit_code();
}

}  // namespace sanctum::interceptor
