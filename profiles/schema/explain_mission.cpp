// SPDX-License-Identifier: Apache-2.0
// The whole mission in words, for `explain FILE` and `--dry-run`. Stable: golden files test it.
#include "profiles/schema/resolve.hpp"

#include "profiles/policy/git.hpp"
#include "profiles/schema/diagnostics.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

constexpr std::size_t kLabelWidth = 13;

std::string joined(const std::vector<std::string>& texts, std::string_view none) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
    return out.empty() ? std::string(none) : out;
}

// One page: headings at the margin, `label  text` below them.
class Page {
public:
    void heading(const std::string& text, const std::string& place = {}) {
        if (!out_.empty()) out_ += "\n";
        out_ += printable(text) + (place.empty() ? "" : "  [" + printable(place) + "]") + "\n";
    }
    void line(std::string label, const std::string& text) {
        if (text.empty()) return;
        label.resize(std::max(label.size(), kLabelWidth), ' ');
        out_ += "  " + label + " " + printable(text) + "\n";
    }
    std::string take() { return std::move(out_); }

private:
    std::string out_;
};

void explain_head(const Mission& mission, Page& page) {
    page.heading("mission " + mission.name);
    page.line("agent", mission.agent);
    page.line("purpose", mission.purpose);
    page.line("ends", "with its process tree, after " + format_duration(mission.ttl_ms) + " at the latest");
    page.line("profile", mission.profile_path + " (sha256 " + mission.profile_sha256.substr(0, 12) + "…)");
    for (const std::string& override : mission.overrides) page.line("override", override);
    if (mission.delegate) page.line("delegates", "the agent may start child missions, each with a part of these rules");
    if (!mission.parent.empty()) page.line("child of", "mission " + mission.parent + ", and ends with it");
}

std::string ports_of(const std::vector<std::uint16_t>& ports) {
    if (ports == std::vector<std::uint16_t>{443}) return {};
    std::string out;
    for (const std::uint16_t port : ports) out += (out.empty() ? " port " : ", ") + std::to_string(port);
    return out;
}

std::string form_of(const Endpoint& endpoint) {
    switch (endpoint.form) {
        case AuthForm::None: return "no credential";
        case AuthForm::Bearer: return "a bearer token is added outside";
        case AuthForm::Basic:
            if (endpoint.username.empty()) return "a user and a password are added outside";
            return "user " + endpoint.username + " and a password are added outside";
        case AuthForm::Header: return "header " + endpoint.form_name + " is added outside";
        case AuthForm::Query: return "parameter " + endpoint.form_name + " is added outside";
        case AuthForm::Sigv4:
            return "signed anew outside, for " + endpoint.form_name + " in " + endpoint.region;
        case AuthForm::Dpop: return "a token bound to a key of the mission is added outside, with a proof of it";
        case AuthForm::Certificate:
            return "a token bound to a certificate is added outside, on connections that show it";
    }
    return {};
}

void explain_endpoint(const Endpoint& endpoint, Page& page) {
    std::string text =
        joined(endpoint.hosts, "nothing") + endpoint.base_path + ports_of(endpoint.ports) + ": " + form_of(endpoint);
    if (endpoint.plain_http) text += "; WITHOUT TLS";
    page.line("reaches", text);
}

void explain_git(const Service& service, Page& page) {
    const auto granted = [&](std::string_view scope) {
        return std::find(service.implied.begin(), service.implied.end(), scope) != service.implied.end();
    };
    const bool is_git = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                    [](const Endpoint& endpoint) { return endpoint.kind == EndpointKind::Git; });
    if (!is_git || (!granted("push") && !granted("contents:write"))) return;
    if (!granted("push:delete")) page.line("note", "deleting refs is refused (push:delete)");
    if (has_bounded_refs(service)) {
        page.line("note", "inside these refs a push may also rewrite history: a push does not say whether it does");
    } else if (!granted("push:force")) {
        page.line(
            "note",
            "changing existing refs is refused: it may rewrite history, and no ref is named (ref, or push:force)");
    }
}

void explain_services(const Mission& mission, Page& page) {
    for (const Service& service : mission.services) {
        page.heading("service " + service.name + " (" + service.catalog + ", account " + service.account + ")",
                     service.place);
        for (const Endpoint& endpoint : service.endpoints) explain_endpoint(endpoint, page);
        page.line("scopes", joined(service.grant, "none"));
        std::vector<std::string> implied;
        std::set_difference(service.implied.begin(), service.implied.end(), service.grant.begin(), service.grant.end(),
                            std::back_inserter(implied));
        page.line("implied", joined(implied, ""));
        for (const auto& [name, patterns] : service.resources) page.line("only " + name, joined(patterns, "nothing"));
        for (const auto& [name, patterns] : service.account_resources) {
            page.line("and " + name, joined(patterns, "nothing") + " (the account's bound)");
        }
        for (const auto& [variable, placeholder] : service.present) {
            page.line("agent sees", variable + "=" + placeholder);
        }
        if (!service.reuse) page.line("credential", "fetched anew for every exchange");
        if (service.login) {
            page.line("login", service.captures_login
                                   ? "the agent may log in by itself; the vault keeps the tokens until the mission ends"
                                   : "of the account (sanctum connect); the agent cannot log in by itself");
        }
        if (service.warm) page.line("credential", "one for reading is fetched at start");
        explain_git(service, page);
    }
}

std::string match_of(const std::vector<RequestPattern>& match) {
    std::vector<std::string> out;
    for (const RequestPattern& pattern : match) out.push_back(pattern.method + " " + pattern.path);
    return joined(out, "");
}

void explain_hosts(const Mission& mission, Page& page) {
    for (const Host& host : mission.hosts) {
        page.heading("host " + host.name + ports_of(host.ports) + " (no credential)" +
                         (host.plain_http ? ", also WITHOUT TLS" : ""),
                     host.place);
        page.line("allows", match_of(host.match));
    }
}

void explain_rules(const Mission& mission, Page& page) {
    for (std::size_t i = 0; i < mission.rules.size(); ++i) {
        const Rule& rule = mission.rules[i];
        page.heading("rule[" + std::to_string(i) + "] " + std::string(name_of(rule.verdict)) + " on " +
                         (rule.service.empty() ? "host " + rule.host : "service " + rule.service),
                     rule.place);
        page.line("match", match_of(rule.match));
        page.line("operation", joined(rule.operations, ""));
        if (rule.verdict == Verdict::Allow) page.line("risk", std::string(name_of(rule.risk.value_or(Risk::High))));
        page.line("reason", rule.reason);
    }
}

std::string verdict_text(Verdict verdict) {
    switch (verdict) {
        case Verdict::Allow: return "allow";
        case Verdict::Ask:
            return "ask a human (refused with approval_unavailable: this version has no approval channel)";
        case Verdict::StepUp:
            return "ask a freshly authenticated human (refused with approval_unavailable: this version has no approval "
                   "channel)";
        case Verdict::Deny: return "deny";
    }
    return {};
}

void explain_approval(const Mission& mission, Page& page) {
    page.heading("by risk");
    page.line("low", verdict_text(mission.approval.low));
    page.line("medium", verdict_text(mission.approval.medium));
    page.line("high", verdict_text(mission.approval.high));
    page.line("critical", verdict_text(mission.approval.critical));
    page.line("timeout", format_duration(mission.approval.timeout_ms) + "; silence is a refusal");
}

void explain_budgets(const Mission& mission, Page& page) {
    if (mission.budgets.empty()) return;
    page.heading("budget");
    for (const Budget& budget : mission.budgets) {
        std::string what = "exchanges";
        if (!budget.scope.empty()) what = "exchanges of " + budget.service + " that use " + budget.scope;
        if (!budget.operation.empty()) what = "exchanges of " + budget.service + " that are " + budget.operation;
        page.line("at most",
                  std::to_string(budget.limit) + " " + what +
                      (budget.window_ms > 0 ? " in " + format_duration(budget.window_ms) : " in the whole mission") +
                      "  [" + budget.place + "]");
    }
}

void explain_limits(const SandboxLimits& limits, Page& page) {
    std::vector<std::string> out;
    if (limits.memory_bytes) out.push_back("memory " + format_size(*limits.memory_bytes));
    if (limits.processes) out.push_back("processes " + std::to_string(*limits.processes));
    if (limits.cpus_milli) {
        std::string cpus = std::to_string(1000 + *limits.cpus_milli % 1000);
        cpus = std::to_string(*limits.cpus_milli / 1000) + "." + cpus.substr(1);
        while (cpus.ends_with('0') && !cpus.ends_with(".0")) cpus.pop_back();
        out.push_back("cpus " + cpus);
    }
    if (limits.file_bytes) out.push_back("file size " + format_size(*limits.file_bytes));
    if (limits.open_files) out.push_back("open files " + std::to_string(*limits.open_files));
    if (out.empty()) return page.line("limits", "none asked");
    page.line("limits", joined(out, "") + (limits.missing == MissingLimits::Accept
                                               ? "; what this machine cannot give is ACCEPTED as missing"
                                               : "; what this machine cannot give stops the mission"));
}

void explain_sandbox(const Mission& mission, Page& page) {
    const Sandbox& sandbox = mission.sandbox;
    page.heading("sandbox");
    page.line("workspace", sandbox.workspace + (sandbox.workspace_writable ? " (read and write)" : " (read)"));
    for (const Mount& mount : sandbox.mounts) {
        const std::string moved = mount.source == mount.target ? "" : " as " + mount.target;
        page.line(mount.writable ? "writes" : "reads", mount.source + moved);
    }
    page.line("home", sandbox.home == Home::Fresh ? "empty, thrown away" : "kept in " + sandbox.home_store);
    page.line("runs later", sandbox.runs_later == RunsLater::Hold
                                ? "new and changed files that others will run are held back"
                                : "new and changed files that others will run are reported only");
    page.line("attribution", sandbox.attribute ? "connections are recorded with their process" : "off");
    page.line("landlock", sandbox.landlock_min == 0
                              ? "used where there is one; its absence is ACCEPTED"
                              : "ABI " + std::to_string(sandbox.landlock_min) + " or newer is required");
    explain_limits(sandbox.limits, page);
    std::vector<std::string> names;
    for (const auto& [name, value] : sandbox.environment) names.push_back(name);
    page.line("variables", joined(names, "none") + " (besides PATH, HOME and the like)");
}

}  // namespace

std::string explain_mission(const Mission& mission) {
    Page page;
    explain_head(mission, page);
    explain_services(mission, page);
    explain_hosts(mission, page);
    if (mission.services.empty() && mission.hosts.empty()) page.heading("network: nothing can be reached");
    explain_rules(mission, page);
    explain_approval(mission, page);
    explain_budgets(mission, page);
    explain_sandbox(mission, page);
    return page.take();
}

}  // namespace sanctum::profiles
