// SPDX-License-Identifier: Apache-2.0
// StandIn: what spawn_probe puts in the place of interceptor and watch, so that allowed calls have an answer.
#pragma once

#include "launcher/confine/spawn.hpp"

#include <poll.h>
#include <vector>

namespace sanctum::probes {

/// A certificate that is nobody's authority: its form is what release() needs.
extern const char* const kAuthority;

/// Serves one agent's sockets. TCP: writes the dialled address and closes. UDP 53: sends the question back. Notices are
/// always continued.
class StandIn {
public:
    StandIn(launcher::ConfinedAgent& agent, bool serves) : agent_(agent), serves_(serves) {}

    /// Adds what is to be polled.
    void watch(std::vector<pollfd>& watched) const;

    /// Handles what is ready, without blocking.
    void serve(const std::vector<pollfd>& watched);

private:
    void answer(const launcher::NamespaceSocket& socket) const;
    void continue_notice() const;

    launcher::ConfinedAgent& agent_;
    bool serves_;
};

}  // namespace sanctum::probes
