// SPDX-License-Identifier: Apache-2.0
// The beginning of the conversation with interceptor and vault: hello, start, ready, each within its time.
//
// The launcher waits here for one message at a time; a signal that means "stop" (INT, TERM, HUP, QUIT) ends the wait.
#pragma once

#include "base/result.hpp"
#include "base/wire/messages.hpp"
#include "launcher/confine/spawn.hpp"
#include "launcher/run/peer_protocol.hpp"
#include "launcher/run/preparation.hpp"
#include "launcher/run/signals.hpp"
#include "launcher/run/trusted_process.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sanctum::launcher {

/// One process of ours and where its conversation stands.
struct Peer {
    TrustedProcess process;
    PeerProtocol protocol;
};

/// When and what every part of a mission is told about its end.
struct MissionTimes {
    std::int64_t started_unix_ms = 0;
    std::int64_t ends_unix_ms = 0;
    std::int64_t ends_boot_ms = 0;
};

/// What both peers said on the way to being ready.
struct ReadyPeers {
    wire::InterceptorReady interceptor;
    wire::VaultReady vault;
    std::vector<wire::LeaseChanged> early_leases;
};

/// The next packet, judged by the protocol. Errors: Cancelled (a stop signal; its number in sys_errno), Timeout,
/// Protocol, Unsupported or Denied (the peer's own sentence, or that it is gone).
[[nodiscard]] Result<wire::Packet> await_packet(Peer& peer, std::chrono::milliseconds timeout, const Signals& signals);

/// Waits for hello and checks it. Errors: as await_packet, and Protocol.
[[nodiscard]] Status meet(Peer& peer, const Signals& signals);

/// Sends start to the vault, with the terminal where a passphrase may be needed, and the variables that accounts take
/// from the environment; -1: neither. The descriptors are borrowed.
[[nodiscard]] Status send_start_vault(Peer& vault, const PreparedMission& prepared, const MissionTimes& times,
                                      int interceptor_end, int terminal, int variables);
/// Sends start to the interceptor: mission, upstream and catalog as sealed memfds, and the sockets of the sandbox.
[[nodiscard]] Status send_start_interceptor(Peer& interceptor, const PreparedMission& prepared,
                                            const MissionTimes& times, const std::string& salt_hex,
                                            const std::vector<NamespaceSocket>& sockets, int vault_end);

/// Whether the vault may have to ask a person for the passphrase.
[[nodiscard]] bool may_need_passphrase(const PreparedMission& prepared);

/// Greets both and sends both their start, in the order that overlaps their work best. The namespace's sockets, and
/// `variables` (PreparedMission::variables) for the vault, are closed on our side afterwards. Returns how long the
/// vault may take now: longer where it asks a person. Errors: as above.
[[nodiscard]] Result<std::chrono::milliseconds> introduce(Peer& interceptor, Peer& vault,
                                                          const PreparedMission& prepared, const MissionTimes& times,
                                                          const std::string& salt_hex,
                                                          std::vector<NamespaceSocket> sockets, UniqueFd variables,
                                                          const Signals& signals);

/// Waits until both are ready. Errors: as above.
[[nodiscard]] Result<ReadyPeers> await_ready(Peer& interceptor, Peer& vault, std::chrono::milliseconds vault_timeout,
                                             const Signals& signals);

}  // namespace sanctum::launcher
