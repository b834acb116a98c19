// SPDX-License-Identifier: Apache-2.0
// The decision. deny > ask > allow; whatever is not known is refused. The order of the checks is the order in which a
// human would want to be told: the wrong host before the missing scope, the missing scope before the budget.
#include "profiles/policy/decide.hpp"

#include "profiles/policy/patterns.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

const Service* service_of(const Mission& mission, const Operation& operation) {
    return operation.service < 0 ? nullptr : &mission.services[static_cast<std::size_t>(operation.service)];
}

const Endpoint* endpoint_of(const Service* service, const Operation& operation) {
    return service == nullptr ? nullptr : &service->endpoints[static_cast<std::size_t>(operation.endpoint)];
}

const Host* host_of(const Mission& mission, const Operation& operation) {
    return operation.host < 0 ? nullptr : &mission.hosts[static_cast<std::size_t>(operation.host)];
}

bool contains(const std::vector<std::string>& texts, std::string_view text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// One decision in the making: what it is about, and the answer so far.
class Judge {
public:
    Judge(const Mission& mission, const Request& request, const Operation& operation)
        : mission_(mission), request_(request), operation_(operation), service_(service_of(mission, operation)),
          endpoint_(endpoint_of(service_, operation)), host_(host_of(mission, operation)),
          path_(path_of_request()) {
        decision_.risk = operation.risk;
    }

    Decision judge(const Spent& spent) {
        if (!check_target() || !check_deny_rules() || !check_known() || !check_grant() || !check_resources() ||
            !check_budgets(spent)) {
            return std::move(decision_);
        }
        decision_.verdict = Verdict::Allow;
        apply_ask_rules();
        apply_risk();
        return std::move(decision_);
    }

private:
    bool refuse(std::string reason, std::string rule, std::string place, std::string text) {
        decision_.verdict = Verdict::Deny;
        decision_.reason = std::move(reason);
        decision_.rule = std::move(rule);
        decision_.place = std::move(place);
        decision_.text = std::move(text);
        return false;
    }

    bool check_target() {
        if (service_ == nullptr && host_ == nullptr) {
            return refuse("host_unknown", {}, {}, "this mission may not reach " + request_.host);
        }
        const bool may_be_plain = endpoint_ != nullptr ? endpoint_->plain_http : host_->plain_http;
        if (!request_.is_tls && !may_be_plain) {
            return refuse("plain_http", {}, place(), "only https is allowed on " + request_.host);
        }
        const std::vector<std::uint16_t>& ports = endpoint_ != nullptr ? endpoint_->ports : host_->ports;
        if (std::find(ports.begin(), ports.end(), request_.port) != ports.end()) return true;
        return refuse("host_unknown", {}, place(),
                      "this mission may not reach port " + std::to_string(request_.port) + " of " + request_.host);
    }

    [[nodiscard]] bool is_about(const Rule& rule) const {
        return service_ != nullptr ? rule.service == service_->name : rule.host == host_->name;
    }

    // Patterns of a service are about the same path as those of its catalog entry.
    [[nodiscard]] std::string path_of_request() const {
        return endpoint_ == nullptr ? request_.path : operation_path(*endpoint_, request_.path);
    }

    [[nodiscard]] bool covers_request(const Rule& rule) const {
        if (!is_about(rule)) return false;
        if (!operation_.id.empty() && contains(rule.operations, operation_.id)) return true;
        if (!rule.operations.empty() && covers_ref_updates(rule)) return true;
        const Reading reading = rule.verdict == Verdict::Allow ? Reading::Exact : Reading::Lenient;
        return std::any_of(rule.match.begin(), rule.match.end(), [&](const RequestPattern& pattern) {
            return covers(pattern, request_.method, path_, reading);
        });
    }

    // `git.push:delete` and `git.push:force` are pushes that delete or change an existing ref (policy/git.cpp).
    [[nodiscard]] bool covers_ref_updates(const Rule& rule) const {
        if (operation_.id != "git.push" || !request_.ref_updates) return false;
        const bool names_delete = contains(rule.operations, "git.push:delete");
        const bool names_force = contains(rule.operations, "git.push:force");
        return std::any_of(request_.ref_updates->begin(), request_.ref_updates->end(), [&](const RefUpdate& update) {
            return update.is_delete() ? names_delete : names_force && !update.is_create();
        });
    }

    template <class Wanted>
    [[nodiscard]] std::optional<std::size_t> find_rule(Wanted wanted) const {
        for (std::size_t i = 0; i < mission_.rules.size(); ++i) {
            if (wanted(mission_.rules[i]) && covers_request(mission_.rules[i])) return i;
        }
        return std::nullopt;
    }

    static std::string rule_name(std::size_t index) { return "rule[" + std::to_string(index) + "]"; }

    bool check_deny_rules() {
        const auto found = find_rule([](const Rule& rule) { return rule.verdict == Verdict::Deny; });
        if (!found) return true;
        const Rule& rule = mission_.rules[*found];
        return refuse("rule_denied", rule_name(*found), rule.place,
                      rule.reason.empty() ? "a rule of the profile forbids it"
                                          : "a rule of the profile forbids it: " + rule.reason);
    }

    // What of the body the decision waits for; null: nothing.
    [[nodiscard]] const char* unread() const {
        if (operation_.needs_push_commands) return "the push's list of commands has not been read";
        if (operation_.needs_lfs_operation) return "what the batch of git-lfs is for has not been read";
        return nullptr;
    }

    bool check_known() {
        const auto allow = find_rule([](const Rule& rule) { return rule.verdict == Verdict::Allow; });
        if (allow) return accept_by_rule(*allow);
        if (host_ != nullptr) return check_host_match();
        if (const char* what = unread()) return refuse("operation_unknown", {}, place(), what);
        if (operation_.is_known) {
            decision_.rule = "grant";
            decision_.place = service_->place;
            return true;
        }
        const std::string what = operation_.id.empty() ? request_.method + " " + request_.path : operation_.id;
        return refuse(
            "operation_unknown", {}, service_->place,
            what + (operation_.id.empty()
                        ? " is no operation that the catalog entry " + service_->catalog + " knows"
                        : " needs permissions that the catalog entry " + service_->catalog + " does not name"));
    }

    // An allow rule makes what is unknown known; what is known it leaves as it is, except that it may raise the risk.
    bool accept_by_rule(std::size_t index) {
        const Rule& rule = mission_.rules[index];
        if (const char* what = unread()) return refuse("operation_unknown", {}, place(), what);
        decision_.risk = risk_under(rule);
        is_known_by_rule_ = host_ != nullptr || !operation_.is_known;
        decision_.rule = is_known_by_rule_ ? rule_name(index) : "grant";
        decision_.place = is_known_by_rule_ ? rule.place : service_->place;
        return true;
    }

    [[nodiscard]] Risk risk_under(const Rule& rule) const {
        const bool is_described = host_ != nullptr ? is_named_by_host() : !operation_.id.empty();
        if (!is_described) return rule.risk.value_or(Risk::High);
        return std::max(operation_.risk, rule.risk.value_or(Risk::Low));
    }

    [[nodiscard]] bool is_named_by_host() const {
        return std::any_of(host_->match.begin(), host_->match.end(), [&](const RequestPattern& pattern) {
            return covers(pattern, request_.method, request_.path, Reading::Exact);
        });
    }

    bool check_host_match() {
        decision_.rule = "host[" + std::to_string(operation_.host) + "]";
        decision_.place = host_->place;
        if (is_named_by_host()) return true;
        return refuse(
            "operation_unknown", decision_.rule, host_->place,
            request_.method + " " + request_.path + " is not among what the profile allows on " + host_->name);
    }

    bool check_grant() {
        if (service_ == nullptr) return true;
        if (is_known_by_rule_) {
            // What an unknown operation needs is not known, so its lease asks for what the mission has.
            decision_.scopes = service_->grant;
            return true;
        }
        for (const std::vector<std::string>& set : operation_.needed) {
            const bool is_granted = std::all_of(
                set.begin(), set.end(), [&](const std::string& scope) { return contains(service_->implied, scope); });
            if (!is_granted) continue;
            decision_.scopes = set;
            std::sort(decision_.scopes.begin(), decision_.scopes.end());
            return true;
        }
        return refuse("scope_missing", "grant", service_->place,
                      operation_.id + " needs " + needed_in_words() + ", which is not granted");
    }

    [[nodiscard]] std::string needed_in_words() const {
        std::string out;
        for (const std::vector<std::string>& set : operation_.needed) {
            if (!out.empty()) out += " or ";
            for (std::size_t i = 0; i < set.size(); ++i) out += (i > 0 ? " and " : "") + set[i];
        }
        return out.empty() ? "scopes that nobody can have" : out;
    }

    bool check_resources() {
        if (service_ == nullptr) return true;
        for (const auto& [name, values] : operation_.resources) {
            for (const auto* bounds : {&service_->resources, &service_->account_resources}) {
                const auto bound = bounds->find(name);
                if (bound == bounds->end()) continue;
                for (const std::string& value : values) {
                    if (covers_resource(bound->second, value)) continue;
                    return refuse("resource_outside", "resources." + name, service_->place,
                                  name + " " + (value.empty() ? "(not named once)" : value) +
                                      " is outside what this mission may touch");
                }
            }
        }
        return true;
    }

    bool check_budgets(const Spent& spent) {
        for (const std::size_t index : budgets_of(mission_, operation_, decision_)) {
            const Budget& budget = mission_.budgets[index];
            // FAIL-CLOSED: a line nobody counts is a line that is spent.
            if (index < spent.size() && spent[index] < budget.limit) continue;
            return refuse("budget_spent", "budget[" + std::to_string(index) + "]", budget.place,
                          "the budget of " + std::to_string(budget.limit) +
                              (budget.window_ms > 0 ? " in its window" : "") + " is spent");
        }
        return true;
    }

    void raise(Verdict verdict, std::string rule, std::string place, std::string text) {
        if (verdict <= decision_.verdict) return;
        decision_.verdict = verdict;
        decision_.rule = std::move(rule);
        decision_.place = std::move(place);
        decision_.text = std::move(text);
        decision_.reason = verdict == Verdict::Deny ? "rule_denied" : "";
    }

    void apply_ask_rules() {
        for (std::size_t i = 0; i < mission_.rules.size(); ++i) {
            const Rule& rule = mission_.rules[i];
            const bool asks = rule.verdict == Verdict::Ask || rule.verdict == Verdict::StepUp;
            if (!asks || !covers_request(rule)) continue;
            raise(rule.verdict, rule_name(i), rule.place,
                  rule.reason.empty() ? "a rule of the profile asks a human"
                                      : "a rule of the profile asks a human: " + rule.reason);
        }
    }

    void apply_risk() {
        const ApprovalPolicy& approval = mission_.approval;
        const Verdict verdicts[] = {approval.low, approval.medium, approval.high, approval.critical};
        const std::string risk(name_of(decision_.risk));
        const Verdict verdict = verdicts[static_cast<std::size_t>(decision_.risk)];
        raise(verdict, "approval." + risk, place(),
              verdict == Verdict::Deny ? "operations of " + risk + " risk are refused"
                                       : "operations of " + risk + " risk ask a human");
    }

    [[nodiscard]] std::string place() const {
        if (service_ != nullptr) return service_->place;
        return host_ != nullptr ? host_->place : std::string();
    }

    const Mission& mission_;
    const Request& request_;
    const Operation& operation_;
    const Service* service_;
    const Endpoint* endpoint_;
    const Host* host_;
    std::string path_;
    bool is_known_by_rule_ = false;
    Decision decision_;
};

}  // namespace

Decision decide(const Mission& mission, const Request& request, const Operation& operation, const Spent& spent) {
    return Judge(mission, request, operation).judge(spent);
}

std::vector<std::size_t> budgets_of(const Mission& mission, const Operation& operation, const Decision& decision) {
    std::vector<std::size_t> out;
    const Service* service = service_of(mission, operation);
    for (std::size_t i = 0; i < mission.budgets.size(); ++i) {
        const Budget& budget = mission.budgets[i];
        const bool is_calls = budget.service.empty();
        const bool is_service = service != nullptr && budget.service == service->name;
        const bool is_scope = is_service && !budget.scope.empty() && contains(decision.scopes, budget.scope);
        const bool is_operation = is_service && !budget.operation.empty() && budget.operation == operation.id;
        if (is_calls || is_scope || is_operation) out.push_back(i);
    }
    return out;
}

}  // namespace sanctum::profiles
