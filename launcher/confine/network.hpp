// SPDX-License-Identifier: Apache-2.0
// The agent's network: a namespace in which every address is local and only Sanctum listens.
#pragma once

#include "base/result.hpp"
#include "launcher/confine/spawn.hpp"

#include <vector>

namespace sanctum::launcher {

/// Brings up `lo` with an address of its own, makes all of IPv4 and IPv6 local, and adds a decorative `eth0` with the
/// same address, both ends of which are inside. Needs CAP_NET_ADMIN inside.
/// See: rtnetlink(7). Errors: Io.
[[nodiscard]] Status make_every_address_local(const SandboxPlan& plan);

/// Opens the sockets that the interceptor serves: per port `listen:PORT` and `listen6:PORT`; `dns-udp`, `dns-udp6`,
/// `dns-tcp`, `dns-tcp6`, `sock-diag`. All non-blocking and close-on-exec. Errors: Io.
[[nodiscard]] Result<std::vector<NamespaceSocket>> open_namespace_sockets(const SandboxPlan& plan);

/// Roles in the order in which open_namespace_sockets() makes them.
[[nodiscard]] std::vector<std::string> namespace_socket_roles(const SandboxPlan& plan);

}  // namespace sanctum::launcher
