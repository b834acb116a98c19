// SPDX-License-Identifier: Apache-2.0
// What `sanctum-vault reap --json` prints: one line per lease that got its end.
#pragma once

#include "base/wire/messages.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sanctum::launcher {

/// The ends of this mission's leases; lines of others or that cannot be read are left out. Pure.
[[nodiscard]] std::vector<wire::LeaseChanged> lease_ends_in(std::string_view lines, const std::string& mission);

}  // namespace sanctum::launcher
