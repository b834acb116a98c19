// SPDX-License-Identifier: Apache-2.0
// Findings from facts: pure, so that every machine that we do not have is a row of a test.
#pragma once

#include "console/machine_facts.hpp"

#include <string>
#include <vector>

namespace sanctum::console {

enum class Health : std::uint8_t { Good, Warning, Bad };
[[nodiscard]] std::string_view name_of(Health health);

struct Finding {
    std::string group;   ///< `Kernel`, `Namespaces`, `Container`, `Limits`, `Set-up`
    Health health = Health::Good;
    std::string what;
    std::string mend;    ///< what to do about it; empty when good
};

[[nodiscard]] std::vector<Finding> examine(const MachineFacts& facts);

}  // namespace sanctum::console
