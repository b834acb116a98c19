// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/peer_protocol.hpp"

#include "base/build_id.hpp"

#include <array>
#include <string>

namespace sanctum::launcher {
namespace {

using wire::Kind;

/// One permitted message: in state `when` the role may send `kind`, and is in state `then` after it.
struct Permitted {
    Role role;
    PeerState when;
    Kind kind;
    PeerState then;
};

constexpr std::array kPermitted = {
    Permitted{Role::Interceptor, PeerState::Silent, Kind::Hello, PeerState::Greeted},
    Permitted{Role::Interceptor, PeerState::Greeted, Kind::InterceptorReady, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::ConnectionOpened, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::ConnectionRefused, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::ExchangeIntent, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::ExchangeRefused, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::ExchangeOutcome, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::Ask, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::Withdraw, PeerState::Serving},
    Permitted{Role::Interceptor, PeerState::Serving, Kind::BudgetShared, PeerState::Serving},
    // Messages that were under way when we sent stop, and the ends of what is being drained.
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::ConnectionOpened, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::ConnectionRefused, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::ExchangeIntent, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::ExchangeRefused, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::ExchangeOutcome, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::Ask, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::Withdraw, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::BudgetShared, PeerState::Stopping},
    Permitted{Role::Interceptor, PeerState::Stopping, Kind::Stopped, PeerState::Done},
    Permitted{Role::Vault, PeerState::Silent, Kind::Hello, PeerState::Greeted},
    // A warm service's lease may be held before the vault is ready.
    Permitted{Role::Vault, PeerState::Greeted, Kind::LeaseChanged, PeerState::Greeted},
    Permitted{Role::Vault, PeerState::Greeted, Kind::VaultReady, PeerState::Serving},
    Permitted{Role::Vault, PeerState::Serving, Kind::LeaseChanged, PeerState::Serving},
    Permitted{Role::Vault, PeerState::Stopping, Kind::LeaseChanged, PeerState::Stopping},
    Permitted{Role::Vault, PeerState::Stopping, Kind::Retired, PeerState::Done},
};

Error own_words_of(Role role, const wire::Packet& packet) {
    const Result<wire::Failed> failed = packet.as<wire::Failed>();
    if (!failed) return Error{Errc::Protocol, std::string(name_of(role)) + ": " + failed.error().what};
    const bool is_locked = failed->reason == "store_locked" || failed->reason == "store_passphrase";
    Error error{is_locked ? Errc::Denied : Errc::Unsupported, failed->what};
    if (failed->reason == "store_locked" && error.what.find("sanctum vault unlock") == std::string::npos) {
        error.what += " (run: sanctum vault unlock)";
    }
    return std::move(error).in(name_of(role));
}

}  // namespace

std::string_view name_of(Role role) { return role == Role::Interceptor ? "interceptor" : "vault"; }

std::string_view name_of(PeerState state) {
    switch (state) {
        case PeerState::Silent: return "before its hello";
        case PeerState::Greeted: return "before it was ready";
        case PeerState::Serving: return "while serving";
        case PeerState::Stopping: return "while stopping";
        case PeerState::Done: return "after its end";
    }
    return "in no known state";
}

Status PeerProtocol::accept(const wire::Packet& packet) {
    if (!packet.secret.is_empty() || !packet.descriptors.empty()) {
        return Error{Errc::Protocol, std::string(name_of(role_)) + ": sent more than a message to the launcher"};
    }
    if (packet.kind == Kind::Failed) return own_words_of(role_, packet);
    for (const Permitted& permitted : kPermitted) {
        if (permitted.role != role_ || permitted.when != state_ || permitted.kind != packet.kind) continue;
        state_ = permitted.then;
        return {};
    }
    return Error{Errc::Protocol, std::string(name_of(role_)) + ": unexpected message " +
                                     wire::name_of(packet.kind) + " " + std::string(name_of(state_))};
}

Status check_hello(const wire::Hello& hello, Role role) {
    if (hello.build != build_id()) {
        return Error{Errc::Protocol, std::string(name_of(role)) + ": is of another build (" + hello.build +
                                         ", this is " + build_id() + "); install the programs together"};
    }
    if (hello.role != name_of(role)) {
        return Error{Errc::Protocol, std::string(name_of(role)) + ": the program says it is `" + hello.role + "`"};
    }
    return {};
}

}  // namespace sanctum::launcher
