// SPDX-License-Identifier: Apache-2.0
// SO_COOKIE of the agent's end of an accepted connection, asked from the kernel by its exact addresses.
#pragma once

#include <cstdint>

struct sockaddr_storage;

namespace sanctum::interceptor {

/// `sock_diag`: NETLINK_SOCK_DIAG socket of the namespace in which both ends live. `agent` and `dialled` are what
/// accept(2) and getsockname(2) gave for our end; the agent's end has them the other way round. 0 when the kernel
/// finds no such socket (it was closed already) or does not answer. See sock_diag(7).
[[nodiscard]] std::uint64_t find_socket_cookie(int sock_diag, const sockaddr_storage& agent,
                                               const sockaddr_storage& dialled);

}  // namespace sanctum::interceptor
