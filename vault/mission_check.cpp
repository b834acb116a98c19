// SPDX-License-Identifier: Apache-2.0
#include "vault/mission_check.hpp"

#include "base/limits.hpp"
#include "profiles/policy/patterns.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

using profiles::Mission;
using profiles::Service;
using Patterns = std::map<std::string, std::vector<std::string>>;

// A name without patterns is unbounded there; the other map may still bound it.
bool are_covered(const Patterns& patterns, const std::string& name, const std::vector<std::string>& values) {
    const auto bound = patterns.find(name);
    if (bound == patterns.end()) return true;
    return std::all_of(values.begin(), values.end(),
                       [&](const std::string& value) { return profiles::covers_resource(bound->second, value); });
}

std::string outside(const Service& service, const wire::LeaseNeed& need) {
    for (const std::string& scope : need.scopes) {
        if (std::find(service.implied.begin(), service.implied.end(), scope) == service.implied.end()) {
            return "scope " + scope + " is not granted to " + service.name;
        }
    }
    for (const auto& [name, values] : need.resources) {
        if (!are_covered(service.resources, name, values) || !are_covered(service.account_resources, name, values)) {
            return "a " + name + " outside the mission's resources of " + service.name;
        }
    }
    return {};
}

}  // namespace

std::optional<std::size_t> find_service_for(const Mission& mission, const wire::LeaseNeed& need, std::string& why) {
    const auto found = std::find_if(mission.services.begin(), mission.services.end(),
                                    [&](const Service& service) { return service.name == need.service; });
    profiles::Risk risk{};
    if (found == mission.services.end()) why = "the mission has no service " + need.service;
    else if (!profiles::parse_name(need.risk, risk)) why = "no such risk";
    else why = outside(*found, need);
    if (!why.empty()) return std::nullopt;
    return static_cast<std::size_t>(found - mission.services.begin());
}

bool is_allowed_without_approval(const Mission& mission, profiles::Risk risk) {
    const profiles::ApprovalPolicy& policy = mission.approval;
    switch (risk) {
        case profiles::Risk::Low: return policy.low == profiles::Verdict::Allow;
        case profiles::Risk::Medium: return policy.medium == profiles::Verdict::Allow;
        case profiles::Risk::High: return policy.high == profiles::Verdict::Allow;
        case profiles::Risk::Critical: return policy.critical == profiles::Verdict::Allow;
    }
    return false;
}

bool is_elevated(profiles::Risk risk) { return risk == profiles::Risk::High || risk == profiles::Risk::Critical; }

bool Approvals::add(const wire::Approved& approved, const Clock& clock) {
    if (approved.approval.empty() || pending_ >= kApprovalsPendingMax) return false;
    const Milliseconds left(approved.expires_unix_ms - clock.wall().unix_ms);
    const bool is_new = told_.try_emplace(approved.approval, Told{approved, clock.boot().plus(left), false}).second;
    if (is_new) ++pending_;
    return is_new;
}

std::string Approvals::consume(const wire::LeaseNeed& need, BootTime now) {
    const auto found = told_.find(need.approval);
    if (found == told_.end()) return "no such approval";
    Told& told = found->second;
    if (told.is_used) return "the approval was used before";
    std::vector<std::string> scopes = told.approved.scopes;
    std::sort(scopes.begin(), scopes.end());
    if (told.approved.service != need.service || scopes != need.scopes) return "the approval is for something else";
    if (now >= told.expires) return "the approval's time has passed";
    told.is_used = true;
    --pending_;
    return {};
}

}  // namespace sanctum::vault
