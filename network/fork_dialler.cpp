// SPDX-License-Identifier: Apache-2.0
// The dialler as a process: fork, descriptors, death rules, confinement.
#include "base/confinement/self_confinement.hpp"
#include "base/log.hpp"
#include "network/dialler.hpp"

#include <cerrno>
#include <csignal>
#include <linux/close_range.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace sanctum::network {
namespace {

SelfConfinement dialler_confinement() {
    SelfConfinement confinement;
    const auto common = calls_of_any_process();
    confinement.calls.assign(common.begin(), common.end());
    const AllowedCall own[] = {
        {SYS_socket, "upstream connections and DNS queries"},
        {SYS_connect, "upstream connections and DNS queries"},
        {SYS_bind, "c-ares may bind its query sockets"},
        {SYS_getsockopt, "the result of a connect"},
        {SYS_setsockopt, "TCP_NODELAY, SO_KEEPALIVE"},
        {SYS_getsockname, "c-ares"},
        {SYS_getpeername, "c-ares"},
        {SYS_sendto, "DNS queries"},
        {SYS_recvfrom, "DNS answers"},
        {SYS_sendmsg, "answers to the owner, with a descriptor"},
        {SYS_recvmsg, "requests of the owner"},
        {SYS_poll, "the one loop"},
        {SYS_ppoll, "the one loop where poll is not a call of its own"},
        {SYS_close, "attempts that lost"},
        {SYS_fcntl, "c-ares makes its sockets non-blocking"},
        {SYS_ioctl, "the same, in another build of c-ares"},
        {SYS_writev, "DNS over TCP"},
    };
    confinement.calls.insert(confinement.calls.end(), std::begin(own), std::end(own));
    confinement.tcp = SelfConfinement::Tcp::Keep;
    return confinement;
}

// Keeps 0-2 and the channel. Nothing of the launcher's or vault's may be reachable from here.
Status close_everything_but(int channel) {
    const auto close_from = [](unsigned first, unsigned last) {
        return first > last || ::syscall(SYS_close_range, first, last, 0U) == 0;
    };
    const auto kept = static_cast<unsigned>(channel);
    if (!close_from(3, kept - 1) || !close_from(kept + 1, ~0U)) return io_error("dialler: close_range");
    return {};
}

[[noreturn]] void live(DialTable table, std::unique_ptr<Resolver> resolver, wire::Channel channel) {
    const auto leave_on = [](const Status& status) {
        if (status) return;
        log::error("dialler: " + status.error().what);
        ::_exit(1);
    };
    leave_on(close_everything_but(channel.fd()));
    leave_on(become_undumpable());
    forget_environment();
    leave_on(confine_self(dialler_confinement()));
    Dialler dialler(std::move(table), std::move(resolver), std::move(channel));
    leave_on(dialler.run());
    ::_exit(0);
}

}  // namespace

Result<DiallerProcess> fork_dialler(DialTable table, const std::string& resolver) {
    if (!resolver.empty() && !SocketAddress::parse(resolver)) {
        return Error{Errc::InvalidProfile, "upstream.resolver: " + resolver + " is not address:port"};
    }
    SANCTUM_TRY(auto ends, wire::make_channel_pair());
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("fork the dialler");
    if (pid == 0) {
        ends.first.reset();
        ::setsid();
        // The channel's end is the first lock, this the second; the parent may be gone already.
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(1);
        // Made here: the resolver's sockets and random state belong to this process alone.
        Result<std::unique_ptr<Resolver>> made = Resolver::create(resolver);
        if (!made) {
            log::error("dialler: " + made.error().what);
            ::_exit(1);
        }
        live(std::move(table), std::move(*made), wire::Channel(std::move(ends.second)));
    }
    return DiallerProcess{pid, wire::Channel(std::move(ends.first))};
}

}  // namespace sanctum::network
