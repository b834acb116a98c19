// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/peers.hpp"

#include "base/clock.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/wire/channel.hpp"
#include "profiles/schema/resolve.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

Error gone_error(const Peer& peer) {
    return Error{Errc::Unsupported, peer.process.role + ": it ended " + std::string(name_of(peer.protocol.state())) +
                                        " (run again with -v to see why)"};
}

Error interrupted_error(int signal) {
    return Error{Errc::Cancelled, std::string("interrupted before the command ran (") + ::strsignal(signal) + ")",
                 signal};
}

// Signals that arrive while nothing runs yet: stop signals end the set-up, a stop from the terminal stops us.
Status heed_signals(const Signals& signals) {
    while (const std::optional<int> signal = signals.next()) {
        if (*signal == SIGINT || *signal == SIGTERM || *signal == SIGHUP || *signal == SIGQUIT) {
            return interrupted_error(*signal);
        }
        if (*signal == SIGTSTP) stop_own_group(SIGTSTP);
    }
    return {};
}

// A packet that is there now, judged; nullopt when none is.
Result<std::optional<wire::Packet>> take_packet(Peer& peer) {
    auto received = peer.process.channel.receive();
    if (!received) {
        if (received.error().code == Errc::Cancelled) return gone_error(peer);
        return std::move(received).error().in(peer.process.role);
    }
    if (!*received) return std::optional<wire::Packet>{};
    SANCTUM_CHECK(peer.protocol.accept(**received));
    return std::move(received).value();
}

/// Sealed memfds and their roles, in the order of the message.
struct Handover {
    std::vector<std::string> roles;
    std::vector<int> descriptors;
    std::vector<UniqueFd> owned;

    Status add_value(const std::string& role, std::string_view bytes) {
        SANCTUM_TRY(UniqueFd memfd, make_sealed_memfd(role, bytes));
        add(role, memfd.get());
        owned.push_back(std::move(memfd));
        return {};
    }
    void add(const std::string& role, int fd) {
        roles.push_back(role);
        descriptors.push_back(fd);
    }
};

// A peer that cannot be sent to has said why, or is gone: its own words are worth more than `broken pipe`.
template <class Message>
Status send_start(Peer& peer, const Message& start, std::span<const int> descriptors) {
    Status sent = peer.process.channel.send(start, descriptors);
    if (sent) return {};
    for (;;) {
        const Result<std::optional<wire::Packet>> packet = take_packet(peer);
        if (!packet) return packet.error();
        if (!*packet) return std::move(sent).error().in(peer.process.role);
    }
}

Result<wire::VaultReady> await_vault(Peer& vault, std::chrono::milliseconds timeout, const Signals& signals,
                                     std::vector<wire::LeaseChanged>& early) {
    for (;;) {
        SANCTUM_TRY(const wire::Packet packet, await_packet(vault, timeout, signals));
        if (packet.kind == wire::Kind::VaultReady) return packet.as<wire::VaultReady>();
        SANCTUM_TRY(wire::LeaseChanged lease, packet.as<wire::LeaseChanged>());
        if (early.size() >= kOpenExchangesMax) return Error{Errc::Limit, "vault: too many leases before it was ready"};
        early.push_back(std::move(lease));
    }
}

UniqueFd terminal_for_passphrase(const PreparedMission& prepared) {
    if (!may_need_passphrase(prepared) || ::isatty(STDERR_FILENO) != 1) return {};
    UniqueFd tty(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (tty && ::tcgetpgrp(tty.get()) != ::getpgrp()) return {};
    return tty;
}

}  // namespace

Result<wire::Packet> await_packet(Peer& peer, std::chrono::milliseconds timeout, const Signals& signals) {
    const SystemClock clock;
    const BootTime deadline = clock.boot().plus(timeout);
    for (;;) {
        SANCTUM_TRY(std::optional<wire::Packet> packet, take_packet(peer));
        if (packet) return std::move(*packet);
        const std::int64_t left = deadline.ms - clock.boot().ms;
        if (left <= 0) {
            return Error{Errc::Timeout,
                         peer.process.role + ": it did not answer in time (run again with -v to see why)"};
        }
        std::array<pollfd, 2> waits = {pollfd{peer.process.channel.fd(), POLLIN, 0}, pollfd{signals.fd(), POLLIN, 0}};
        if (::poll(waits.data(), waits.size(), static_cast<int>(left)) < 0 && errno != EINTR) return io_error("poll");
        SANCTUM_CHECK(heed_signals(signals));
    }
}

Status meet(Peer& peer, const Signals& signals) {
    SANCTUM_TRY(const wire::Packet packet, await_packet(peer, kHelloTimeout, signals));
    SANCTUM_TRY(const wire::Hello hello, packet.as<wire::Hello>());
    const Role role = peer.process.role == name_of(Role::Vault) ? Role::Vault : Role::Interceptor;
    return check_hello(hello, role);
}

Status send_start_vault(Peer& vault, const PreparedMission& prepared, const MissionTimes& times, int interceptor_end,
                        int terminal, int variables) {
    Handover handover;
    const profiles::VaultConfig accounts =
        profiles::vault_config_for(prepared.mission, prepared.config, prepared.places);
    SANCTUM_CHECK(handover.add_value("mission", wire::to_json(prepared.mission)));
    SANCTUM_CHECK(handover.add_value("accounts", wire::to_json(accounts)));
    handover.add("interceptor", interceptor_end);
    if (terminal >= 0) handover.add("terminal", terminal);
    if (variables >= 0) handover.add("variables", variables);
    const wire::StartVault start{prepared.mission.id, prepared.places.state, times.ends_boot_ms, times.ends_unix_ms,
                                 handover.roles};
    return send_start(vault, start, handover.descriptors);
}

Status send_start_interceptor(Peer& interceptor, const PreparedMission& prepared, const MissionTimes& times,
                              const std::string& salt_hex, const std::vector<NamespaceSocket>& sockets, int vault_end) {
    Handover handover;
    SANCTUM_CHECK(handover.add_value("mission", wire::to_json(prepared.mission)));
    SANCTUM_CHECK(handover.add_value("upstream", wire::to_json(prepared.config.upstream)));
    for (const profiles::CompiledEntry& entry : prepared.catalog.entries()) {
        SANCTUM_CHECK(handover.add_value("catalog:" + std::string(entry.name()), entry.bytes()));
    }
    for (const NamespaceSocket& socket : sockets) handover.add(socket.role, socket.fd.get());
    handover.add("vault", vault_end);
    const wire::StartInterceptor start{prepared.mission.id, salt_hex, times.ends_boot_ms, handover.roles};
    return send_start(interceptor, start, handover.descriptors);
}

bool may_need_passphrase(const PreparedMission& prepared) {
    const std::string& unlock = prepared.config.unlock;
    const bool is_headless = unlock.starts_with("key-file:") || unlock.starts_with("credential:");
    return !is_headless && !prepared.mission.services.empty();
}

Result<std::chrono::milliseconds> introduce(Peer& interceptor, Peer& vault, const PreparedMission& prepared,
                                            const MissionTimes& times, const std::string& salt_hex,
                                            std::vector<NamespaceSocket> sockets, UniqueFd variables,
                                            const Signals& signals) {
    SANCTUM_TRY(auto between, wire::make_channel_pair());
    SANCTUM_CHECK(meet(vault, signals));
    const UniqueFd terminal = terminal_for_passphrase(prepared);
    SANCTUM_CHECK(send_start_vault(vault, prepared, times, between.first.get(), terminal.get(), variables.get()));
    variables.reset();
    SANCTUM_CHECK(meet(interceptor, signals));
    SANCTUM_CHECK(send_start_interceptor(interceptor, prepared, times, salt_hex, sockets, between.second.get()));
    // Closed on our side when this returns: an open copy would keep the agent's network namespace and the leases' way
    // alive.
    return terminal ? std::chrono::milliseconds(kVaultPassphraseTimeout)
                    : std::chrono::milliseconds(kVaultReadyTimeout);
}

Result<ReadyPeers> await_ready(Peer& interceptor, Peer& vault, std::chrono::milliseconds vault_timeout,
                               const Signals& signals) {
    ReadyPeers ready;
    SANCTUM_TRY(ready.vault, await_vault(vault, vault_timeout, signals, ready.early_leases));
    SANCTUM_TRY(const wire::Packet packet, await_packet(interceptor, kInterceptorReadyTimeout, signals));
    SANCTUM_TRY(ready.interceptor, packet.as<wire::InterceptorReady>());
    return ready;
}

}  // namespace sanctum::launcher
