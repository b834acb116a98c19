// SPDX-License-Identifier: Apache-2.0
// The mission, enforced a second time: what the interceptor may be given, judged without trusting it. Pure.
#pragma once

#include "base/clock.hpp"
#include "base/wire/messages.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <optional>
#include <string>

namespace sanctum::vault {

/// Whether a need lies inside the mission: a service of it, scopes it grants or implies, resources it covers, a risk
/// that exists. The index of the service, or nullopt with one sentence in `why`.
[[nodiscard]] std::optional<std::size_t> find_service_for(const profiles::Mission& mission,
                                                          const wire::LeaseNeed& need, std::string& why);

/// True when the mission lets a need of this risk through without a human.
[[nodiscard]] bool is_allowed_without_approval(const profiles::Mission& mission, profiles::Risk risk);

/// High and critical risk: one request, one credential.
[[nodiscard]] bool is_elevated(profiles::Risk risk);

/// Approvals that the launcher told of and that were not used yet.
class Approvals {
public:
    /// False when the same approval was told before (also when it was used since) or too many wait.
    [[nodiscard]] bool add(const wire::Approved& approved, const Clock& clock);
    /// Uses the approval up if it is for this need and its time has not passed; empty, or why not.
    [[nodiscard]] std::string consume(const wire::LeaseNeed& need, BootTime now);

private:
    struct Told {
        wire::Approved approved;
        BootTime expires;
        bool is_used = false;
    };
    std::map<std::string, Told> told_;
    std::size_t pending_ = 0;
};

}  // namespace sanctum::vault
