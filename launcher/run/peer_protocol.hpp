// SPDX-License-Identifier: Apache-2.0
// Who may say what when: the table of messages that interceptor and vault may send to the launcher. Anything that is
// not in it ends the mission.
#pragma once

#include "base/result.hpp"
#include "base/wire/channel.hpp"

#include <cstdint>
#include <string_view>

namespace sanctum::launcher {

enum class Role : std::uint8_t { Interceptor, Vault };
enum class PeerState : std::uint8_t {
    Silent,    ///< started, nothing heard
    Greeted,   ///< hello was right
    Serving,   ///< ready
    Stopping,  ///< we asked it to stop or retire
    Done,      ///< it answered stopped or retired
};

/// `interceptor`, `vault`.
[[nodiscard]] std::string_view name_of(Role role);
[[nodiscard]] std::string_view name_of(PeerState state);

/// One peer's place in the conversation. Pure but for its own state.
class PeerProtocol {
public:
    explicit PeerProtocol(Role role) : role_(role) {}
    [[nodiscard]] PeerState state() const { return state_; }

    /// Judges one packet by its kind and moves on. `failed` gives the sender's own sentence as the error (class Denied
    /// for a locked store or wrong passphrase, Unsupported otherwise). Errors: Protocol for anything out of order or
    /// with secret bytes or descriptors, which no message to the launcher carries.
    [[nodiscard]] Status accept(const wire::Packet& packet);

    /// We sent stop or retire; allowed once ready.
    void ask_to_stop() { state_ = PeerState::Stopping; }

private:
    Role role_;
    PeerState state_ = PeerState::Silent;
};

/// hello's content: build id and role must be ours. Errors: Protocol, with the remedy.
[[nodiscard]] Status check_hello(const wire::Hello& hello, Role role);

}  // namespace sanctum::launcher
