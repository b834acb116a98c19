// SPDX-License-Identifier: Apache-2.0
// The parts of resolve_mission, one file each, and what they share. Internal.
#pragma once

#include "profiles/schema/profile_text.hpp"

namespace sanctum::profiles {

/// What every part reads and where it reports. `mission` is filled part by part, in the order below.
struct Resolving {
    const OperatorConfig& config;
    const CatalogSet& catalog;
    const Caller& caller;
    Diagnostics& diagnostics;
    Mission& mission;
};

void resolve_services(const ProfileText& text, Resolving& to);
void resolve_hosts(const ProfileText& text, Resolving& to);
void resolve_rules(const ProfileText& text, Resolving& to);
void resolve_budgets(const ProfileText& text, Resolving& to);
void resolve_sandbox(const ProfileText& text, const std::vector<MountText>& mounts, Resolving& to);
/// A resource pattern in full: git's `agent/**` for `ref` means refs/heads/agent/**.
[[nodiscard]] std::string full_pattern(const std::string& resource, const std::string& pattern, bool is_git);
/// Variables: passed, set, and the placeholders of services.
void resolve_environment(const ProfileText& text, Resolving& to);

}  // namespace sanctum::profiles
