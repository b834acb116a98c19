// SPDX-License-Identifier: Apache-2.0
// What the launcher gives the interceptor to begin with, checked and sorted by role.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/channel.hpp"
#include "profiles/catalog/catalog.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sanctum::interceptor {

/// Everything of a StartInterceptor message.
struct Start {
    std::string mission_id;
    std::string salt;  ///< raw bytes
    std::int64_t ends_boot_ms = 0;
    profiles::Mission mission;
    profiles::UpstreamConfig upstream;
    profiles::CatalogSet catalog;
    std::vector<UniqueFd> listeners;
    std::vector<UniqueFd> dns_udp;
    std::vector<UniqueFd> dns_tcp;
    UniqueFd sock_diag;
    UniqueFd vault;
};

/// Sends Hello, waits for StartInterceptor, and reads what it carries. Errors: Timeout, Cancelled (the launcher went),
/// Protocol (an unknown role, a missing part, or a value that does not parse).
[[nodiscard]] Result<Start> receive_start(wire::Channel& launcher);

}  // namespace sanctum::interceptor
