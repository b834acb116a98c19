// SPDX-License-Identifier: Apache-2.0
// narrow_to_parent: what a child mission's profile left open, taken from its parent.
#include "profiles/schema/delegated.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

Error changed(const std::string& what) {
    return Error{Errc::Denied, what + " is not what it was when the parent started (the operator's configuration has "
                                      "changed: start the parent anew)"};
}

const Service* parents_service(const Mission& mission, const std::string& name) {
    for (const Service& service : mission.services) {
        if (service.name == name) return &service;
    }
    return nullptr;
}

void keep_common(std::vector<std::string>& texts, const std::vector<std::string>& bound) {
    std::erase_if(texts, [&](const std::string& text) {
        return std::find(bound.begin(), bound.end(), text) == bound.end();
    });
}

bool is_same_way(const Service& child, const Service& bound) {
    if (child.account_resources != bound.account_resources || child.endpoints.size() != bound.endpoints.size()) {
        return false;
    }
    return std::equal(child.endpoints.begin(), child.endpoints.end(), bound.endpoints.begin(),
                      [](const Endpoint& a, const Endpoint& b) { return wire::to_json(a) == wire::to_json(b); });
}

Status narrow_service(Service& service, const Mission& parent) {
    const Service* bound = parents_service(parent, service.name);
    if (bound == nullptr || service.account != bound->account || service.catalog != bound->catalog) {
        return Error{Errc::Denied, "service `" + service.name + "` is none of the parent's"};
    }
    if (!is_same_way(service, *bound)) return changed("where service `" + service.name + "` leads");
    if (service.captures_login && !bound->captures_login) return changed("who logs in to `" + service.name + "`");
    keep_common(service.grant, bound->implied);
    keep_common(service.implied, bound->implied);
    service.resources.insert(bound->resources.begin(), bound->resources.end());
    service.reuse = service.reuse && bound->reuse;
    return {};
}

// The name of the entry under which the parent would reach this host; empty: none.
std::string parents_name_of(const Host& host, const Mission& parent) {
    for (const Host& bound : parent.hosts) {
        if (bound.name == host.name) return bound.name;
    }
    const std::vector<DialEntry> entries = dial_entries(parent);
    const auto found = find_dial_entry(entries, host.name);
    return found && entries[*found].host >= 0 ? entries[*found].name : std::string();
}

bool is_below(std::string_view path, std::string_view folder) {
    return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

void narrow_limits(SandboxLimits& limits, const SandboxLimits& bound) {
    const auto narrow = [](std::optional<std::uint64_t>& value, const std::optional<std::uint64_t>& most) {
        if (most && (!value || *value > *most)) value = most;
    };
    narrow(limits.memory_bytes, bound.memory_bytes);
    narrow(limits.processes, bound.processes);
    narrow(limits.cpus_milli, bound.cpus_milli);
    narrow(limits.file_bytes, bound.file_bytes);
    narrow(limits.open_files, bound.open_files);
    if (bound.missing == MissingLimits::Refuse) limits.missing = MissingLimits::Refuse;
}

// SECURITY: what lies inside of a place that the child has comes along, since without it the child would see what the
// parent does not: the folder underneath. Read-only unless the child named it.
void add_inner_places(Sandbox& sandbox, const Sandbox& bound) {
    for (const Mount& inner : bound.mounts) {
        const bool is_named = std::any_of(sandbox.mounts.begin(), sandbox.mounts.end(),
                                          [&](const Mount& mount) { return mount.target == inner.target; });
        const bool is_inside =
            is_below(inner.target, sandbox.workspace) ||
            std::any_of(sandbox.mounts.begin(), sandbox.mounts.end(),
                        [&](const Mount& mount) { return is_below(inner.target, mount.target); });
        if (!is_named && is_inside) sandbox.mounts.push_back({inner.source, inner.target, false});
    }
}

Status narrow_sandbox(Sandbox& sandbox, const Sandbox& bound) {
    if (sandbox.workspace != bound.workspace) return Error{Errc::Denied, "the workspace is not the parent's"};
    for (const Mount& mount : sandbox.mounts) {
        const bool is_there = std::any_of(bound.mounts.begin(), bound.mounts.end(), [&](const Mount& other) {
            return other.source == mount.source && other.target == mount.target && (other.writable || !mount.writable);
        });
        if (!is_there) return Error{Errc::Denied, mount.source + " is no place of the parent"};
    }
    if (sandbox.home == Home::Kept && sandbox.home_store != bound.home_store) {
        return Error{Errc::Denied, "a kept home is that of the parent's agent (write agent as the parent does)"};
    }
    sandbox.workspace_writable = sandbox.workspace_writable && bound.workspace_writable;
    sandbox.runs_later = bound.runs_later;
    sandbox.attribute = sandbox.attribute || bound.attribute;
    sandbox.landlock_min = std::max(sandbox.landlock_min, bound.landlock_min);
    narrow_limits(sandbox.limits, bound.limits);
    add_inner_places(sandbox, bound);
    return {};
}

Verdict verdict_of(const ApprovalPolicy& approval, Risk risk) {
    const Verdict verdicts[] = {approval.low, approval.medium, approval.high, approval.critical};
    return verdicts[static_cast<std::size_t>(risk)];
}

// What the parent forbids or asks about holds for the child. So does what one of its allow rules makes riskier: there
// it stands as the verdict that the parent has for that risk.
std::optional<Rule> inherited(const Rule& rule, const Mission& parent) {
    Rule out = rule;
    out.risk.reset();
    if (rule.verdict == Verdict::Allow) {
        if (!rule.risk) return std::nullopt;
        out.verdict = verdict_of(parent.approval, *rule.risk);
    }
    return out.verdict == Verdict::Allow ? std::nullopt : std::optional(std::move(out));
}

void add_rules(Mission& child, const Mission& parent) {
    for (const Rule& written : parent.rules) {
        const std::optional<Rule> rule = inherited(written, parent);
        if (!rule) continue;
        if (!rule->service.empty()) {
            if (parents_service(child, rule->service) != nullptr) child.rules.push_back(*rule);
            continue;
        }
        for (const Host& host : child.hosts) {
            if (parents_name_of(host, parent) != rule->host) continue;
            child.rules.push_back(*rule);
            child.rules.back().host = host.name;
        }
    }
}

}  // namespace

std::string budget_key(const Budget& budget) {
    if (budget.service.empty()) return "calls";
    return budget.scope.empty() ? budget.service + "/" + budget.operation : budget.service + ":" + budget.scope;
}

std::vector<std::uint64_t> budget_shares(const Mission& child, const Mission& parent) {
    std::vector<std::uint64_t> shares;
    for (const Budget& bound : parent.budgets) {
        const auto line = std::find_if(child.budgets.begin(), child.budgets.end(), [&](const Budget& own) {
            return budget_key(own) == budget_key(bound);
        });
        shares.push_back(line == child.budgets.end() ? 0 : line->limit);
    }
    return shares;
}

Result<Mission> narrow_to_parent(Mission child, const Mission& parent, std::int64_t left_ms) {
    for (Service& service : child.services) {
        SANCTUM_CHECK(narrow_service(service, parent));
    }
    for (const Host& host : child.hosts) {
        const std::string name = parents_name_of(host, parent);
        const auto bound = std::find_if(parent.hosts.begin(), parent.hosts.end(),
                                        [&](const Host& other) { return other.name == name; });
        if (bound == parent.hosts.end()) return Error{Errc::Denied, "host " + host.name + " is none of the parent's"};
        if (host.plain_http && !bound->plain_http) return changed("how host " + host.name + " is reached");
    }
    SANCTUM_CHECK(narrow_sandbox(child.sandbox, parent.sandbox));
    child.approval.low = std::max(child.approval.low, parent.approval.low);
    child.approval.medium = std::max(child.approval.medium, parent.approval.medium);
    child.approval.high = std::max(child.approval.high, parent.approval.high);
    child.approval.critical = std::max(child.approval.critical, parent.approval.critical);
    add_rules(child, parent);
    child.ttl_ms = std::min(child.ttl_ms, left_ms);
    child.delegate = child.delegate && parent.delegate;
    child.parent = parent.id;
    child.depth = parent.depth + 1;
    return child;
}

}  // namespace sanctum::profiles
