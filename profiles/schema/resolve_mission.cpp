// SPDX-License-Identifier: Apache-2.0
// Profile → Mission: the spine. Only this function makes a Mission; after it nothing is looked up again.
#include "profiles/schema/resolve_parts.hpp"

#include "base/limits.hpp"
#include "profiles/schema/words.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

void resolve_life(const ProfileText& text, Resolving& to) {
    if (text.name) to.mission.name = text.name->value;
    to.mission.agent = text.agent ? text.agent->value : to.mission.name;
    to.mission.purpose = text.purpose;
    to.mission.delegate = text.delegate && text.delegate->value;
    if (to.mission.delegate && !to.config.bounds.delegate) {
        to.diagnostics.denied(text.delegate->at, "`delegate` is above the operator's bound: no agent starts missions",
                              "remove it, or [bounds] delegate in " + to.config.path);
    }
    if (!text.ttl_ms) {
        return to.diagnostics.error(text.mission_at, "[mission] needs `ttl`, the hard end of the run",
                                    "write ttl = \"30m\", or give --ttl 30m");
    }
    const Placed<std::int64_t>& ttl = *text.ttl_ms;
    to.mission.ttl_ms = ttl.value;
    if (ttl.value < kMissionTtlMin.count() || ttl.value > kMissionTtlMax.count()) {
        return to.diagnostics.error(ttl.at, "`ttl` must be between " + format_duration(kMissionTtlMin.count()) +
                                                " and " + format_duration(kMissionTtlMax.count()));
    }
    if (to.config.bounds.ttl_ms && ttl.value > *to.config.bounds.ttl_ms) {
        const std::string bound = format_duration(*to.config.bounds.ttl_ms);
        to.diagnostics.denied(ttl.at, "`ttl` is above the operator's bound of " + bound,
                              "write ttl = \"" + bound + "\" or less, or raise [bounds] ttl in " + to.config.path);
    }
}

void resolve_risk(const std::optional<Placed<Verdict>>& written, const std::optional<Verdict>& bound,
                  std::string_view risk, Verdict& verdict, Resolving& to) {
    if (written) verdict = written->value;
    if (!bound || verdict >= *bound) return;
    if (written) {
        to.diagnostics.denied(
            written->at,
            std::string(risk) + " = \"" + std::string(name_of(verdict)) + "\" is milder than the operator's bound",
            "write \"" + std::string(name_of(*bound)) + "\" or stricter");
    }
    // What the profile does not say follows the bound.
    verdict = *bound;
}

void resolve_approval(const ProfileText& text, Resolving& to) {
    ApprovalPolicy& approval = to.mission.approval;
    const Bounds& bounds = to.config.bounds;
    resolve_risk(text.approval.low, bounds.low, "low", approval.low, to);
    resolve_risk(text.approval.medium, bounds.medium, "medium", approval.medium, to);
    resolve_risk(text.approval.high, bounds.high, "high", approval.high, to);
    resolve_risk(text.approval.critical, bounds.critical, "critical", approval.critical, to);
    if (text.approval.timeout_ms) approval.timeout_ms = text.approval.timeout_ms->value;
    const auto report = [&](const std::optional<Placed<Verdict>>& milder, Verdict stricter_risk, Verdict risk,
                            std::string_view name) {
        if (stricter_risk >= risk || !milder) return;
        to.diagnostics.error(milder->at, "a higher risk would be treated more mildly than " + std::string(name),
                             "make the higher risk at least as strict");
    };
    report(text.approval.medium, approval.medium, approval.low, "low");
    report(text.approval.high, approval.high, approval.medium, "medium");
    report(text.approval.critical, approval.critical, approval.high, "high");
}

}  // namespace

Result<Mission> resolve_mission(const Profile& profile, const OperatorConfig& config, const CatalogSet& catalog,
                                const Overrides& overrides, const Caller& caller, const std::string& id) {
    const Profile::Written& written = profile.written();
    Diagnostics diagnostics = written.sources;
    TomlValue tree = written.tree;
    merge_overrides(overrides, tree, diagnostics);
    const std::vector<MountText> mounts = read_mounts(overrides, diagnostics);
    const ProfileText text = read_profile_tree(tree, written.source, diagnostics);
    if (!diagnostics.empty()) return diagnostics.to_error();

    Mission mission;
    mission.id = id;
    mission.profile_path = written.file_name;
    mission.profile_sha256 = written.sha256;
    mission.overrides = recorded_overrides(overrides);
    Resolving to{config, catalog, caller, diagnostics, mission};
    resolve_life(text, to);
    resolve_approval(text, to);
    resolve_services(text, to);
    resolve_hosts(text, to);
    resolve_rules(text, to);
    resolve_budgets(text, to);
    resolve_sandbox(text, mounts, to);
    resolve_environment(text, to);
    if (!diagnostics.empty()) return diagnostics.to_error();
    return mission;
}

VaultConfig vault_config_for(const Mission& mission, const OperatorConfig& config, const Places& places) {
    VaultConfig out;
    out.store = places.store();
    out.unlock = config.unlock;
    out.upstream = config.upstream;
    for (const Account& account : config.accounts) {
        const bool is_used = std::any_of(mission.services.begin(), mission.services.end(),
                                         [&](const Service& service) { return service.account == account.name; });
        if (is_used) out.accounts.push_back(account);
    }
    for (const IdentityClient& client : config.clients) {
        const bool is_used = std::any_of(out.accounts.begin(), out.accounts.end(), [&](const Account& account) {
            return account.provider.client == client.name && (account.source == "auth0") == client.is_tenant;
        });
        if (is_used) out.clients.push_back(client);
    }
    return out;
}

}  // namespace sanctum::profiles
