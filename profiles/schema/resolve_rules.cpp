// SPDX-License-Identifier: Apache-2.0
// Rules and budget lines. Each must have one effect: what is unused or ambiguous is an error.
#include "profiles/schema/resolve_parts.hpp"

#include "profiles/policy/patterns.hpp"

#include <algorithm>
#include <map>

namespace sanctum::profiles {
namespace {

std::vector<std::string> service_names(const Mission& mission) {
    std::vector<std::string> out;
    for (const Service& service : mission.services) out.push_back(service.name);
    return out;
}

std::vector<std::string> host_names(const Mission& mission) {
    std::vector<std::string> out;
    for (const Host& host : mission.hosts) out.push_back(host.name);
    return out;
}

const Service* find_service(const Mission& mission, std::string_view name) {
    for (const Service& service : mission.services) {
        if (service.name == name) return &service;
    }
    return nullptr;
}

std::vector<std::string> owned(const std::vector<std::string_view>& texts) { return {texts.begin(), texts.end()}; }

bool contains(const std::vector<std::string>& texts, std::string_view text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// `/repos/{owner}/lock` → `/repos/~/lock`: `~` is no literal of any API, so only captures of an operation cover it.
std::optional<std::string> probe_of(const std::string& path) {
    if (path.ends_with("/**")) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '{' || path[i] == '*') {
            if (path[i] == '{') i = path.find('}', i);
            out += '~';
        } else {
            out += path[i];
        }
    }
    return out;
}

// An allow rule only makes unknown operations known. One that covers nothing but a known operation does nothing.
void check_allow(const RuleText& rule, const Service& service, const CompiledEntry& entry, Resolving& to) {
    if (rule.verdict != Verdict::Allow) return;
    for (const PlacedText& id : rule.operations) {
        const std::optional<OperationMatch> operation = entry.operation(id.value);
        if (!operation || !operation->is_scoped) continue;
        to.diagnostics.error(
            id.at, "unused: `" + id.value + "` is known, and an allow rule never waives grant, resources or risk",
            "put its scopes into `grant`, or change [approval]");
    }
    for (const auto& pattern : rule.match) {
        const std::optional<std::string> probe = probe_of(pattern.value.path);
        if (!probe || pattern.value.method == "*") continue;
        for (const Endpoint& endpoint : service.endpoints) {
            const auto operation = entry.find(endpoint.name, pattern.value.method, *probe, {});
            if (!operation || !operation->is_scoped) continue;
            to.diagnostics.error(pattern.at,
                                 "unused: this is the known operation `" + std::string(operation->id) +
                                     "`, and an allow rule never waives grant, resources or risk",
                                 "put its scopes into `grant`, or change [approval]");
            break;
        }
    }
}

void check_service_rule(const RuleText& rule, Resolving& to) {
    const Service* service = find_service(to.mission, rule.service->value);
    if (service == nullptr) {
        const std::string hint = suggest(rule.service->value, service_names(to.mission));
        return to.diagnostics.error(rule.service->at, "unused: there is no service `" + rule.service->value + "`",
                                    hint.empty() ? "add the [[service]], or remove the rule" : hint);
    }
    const CompiledEntry* entry = to.catalog.find(service->catalog);
    if (entry == nullptr) return;
    const std::vector<std::string> known = owned(entry->operation_ids());
    for (const PlacedText& id : rule.operations) {
        if (contains(known, id.value)) continue;
        to.diagnostics.error(id.at, "unused: `" + service->catalog + "` has no operation `" + id.value + "`",
                             suggest(id.value, known));
    }
    check_allow(rule, *service, *entry, to);
}

void check_host_rule(const RuleText& rule, Resolving& to) {
    if (!contains(host_names(to.mission), rule.host->value)) {
        const std::string hint = suggest(rule.host->value, host_names(to.mission));
        to.diagnostics.error(rule.host->at, "unused: there is no [[host]] `" + rule.host->value + "`",
                             hint.empty() ? "add the [[host]], or remove the rule" : hint);
    }
    if (!rule.operations.empty()) {
        to.diagnostics.error(rule.operations.front().at, "a plain host has no operations",
                             "write match = [\"GET /path/**\"]");
    }
}

// Two rules about the same thing: the stricter wins, so the other one is a mistake of the author.
void check_repeats(const RuleText& rule, std::map<std::string, Place>& seen, Resolving& to) {
    const std::string target = rule.service ? "service " + rule.service->value
                               : rule.host  ? "host " + rule.host->value
                                            : "";
    const auto check = [&](const std::string& what, Place at) {
        const auto [known, is_first] = seen.emplace(target + " " + what, at);
        if (is_first) return;
        to.diagnostics.error(at, "ambiguous: " + to.diagnostics.name_of(known->second) + " decides the same",
                             "keep one of the two");
    };
    for (const auto& pattern : rule.match) {
        check("match " + pattern.value.method + " " + pattern.value.path, pattern.at);
    }
    for (const PlacedText& id : rule.operations) check("operation " + id.value, id.at);
}

Rule rule_of(const RuleText& text, const Diagnostics& diagnostics) {
    Rule rule;
    rule.verdict = text.verdict;
    rule.reason = text.reason;
    rule.place = diagnostics.name_of(text.at);
    if (text.service) rule.service = text.service->value;
    if (text.host) rule.host = text.host->value;
    for (const auto& pattern : text.match) rule.match.push_back(pattern.value);
    for (const PlacedText& id : text.operations) rule.operations.push_back(id.value);
    if (text.risk) rule.risk = text.risk->value;
    return rule;
}

const Service* budget_service(const BudgetText& text, std::string_view name, Resolving& to) {
    const Service* service = find_service(to.mission, name);
    if (service == nullptr) {
        to.diagnostics.error(text.key.at, "unused: there is no service `" + std::string(name) + "`",
                             suggest(name, service_names(to.mission)));
    }
    return service;
}

void resolve_scope_budget(const BudgetText& text, std::size_t colon, Budget& budget, Resolving& to) {
    budget.service = text.key.value.substr(0, colon);
    budget.scope = text.key.value.substr(colon + 1);
    const Service* service = budget_service(text, budget.service, to);
    if (service == nullptr || contains(service->implied, budget.scope)) return;
    to.diagnostics.error(text.key.at, "unused: service `" + budget.service + "` is not granted `" + budget.scope + "`",
                         suggest(budget.scope, service->implied));
}

void resolve_operation_budget(const BudgetText& text, std::size_t slash, Budget& budget, Resolving& to) {
    budget.service = text.key.value.substr(0, slash);
    budget.operation = text.key.value.substr(slash + 1);
    const Service* service = budget_service(text, budget.service, to);
    const CompiledEntry* entry = service == nullptr ? nullptr : to.catalog.find(service->catalog);
    if (entry == nullptr || entry->operation(budget.operation)) return;
    to.diagnostics.error(text.key.at, "unused: `" + service->catalog + "` has no operation `" + budget.operation + "`",
                         suggest(budget.operation, owned(entry->operation_ids())));
}

}  // namespace

void resolve_rules(const ProfileText& text, Resolving& to) {
    std::map<std::string, Place> seen;
    for (const RuleText& rule : text.rules) {
        if (rule.service) check_service_rule(rule, to);
        if (rule.host) check_host_rule(rule, to);
        check_repeats(rule, seen, to);
        to.mission.rules.push_back(rule_of(rule, to.diagnostics));
    }
}

void resolve_budgets(const ProfileText& text, Resolving& to) {
    for (const BudgetText& line : text.budgets) {
        Budget budget;
        budget.limit = line.limit;
        budget.window_ms = line.window_ms;
        budget.place = to.diagnostics.name_of(line.key.at);
        const std::string& key = line.key.value;
        // The first colon splits, since scopes hold colons; a slash before any colon names an operation.
        const std::size_t colon = key.find(':');
        const std::size_t slash = key.find('/');
        if (key == "calls") {
            // counts every exchange
        } else if (slash != std::string::npos && slash < colon) {
            resolve_operation_budget(line, slash, budget, to);
        } else if (colon != std::string::npos) {
            resolve_scope_budget(line, colon, budget, to);
        } else {
            to.diagnostics.error(line.key.at, "`" + key + "` is not a budget",
                                 "calls, \"SERVICE:SCOPE\" or \"SERVICE/OPERATION\"");
        }
        to.mission.budgets.push_back(std::move(budget));
    }
}

}  // namespace sanctum::profiles
