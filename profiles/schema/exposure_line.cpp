// SPDX-License-Identifier: Apache-2.0
// One line for `check`: what a hostile agent could do with this mission.
#include "profiles/schema/resolve.hpp"

#include "profiles/schema/diagnostics.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>
#include <set>

namespace sanctum::profiles {
namespace {

struct Reach {
    Risk worst = Risk::Low;  ///< of what is allowed without asking a human
    std::size_t asked = 0;   ///< operations that ask
};

bool is_granted(const OperationMatch& operation, const Service& service) {
    return std::any_of(operation.any_of.begin(), operation.any_of.end(), [&](const auto& set) {
        return std::all_of(set.begin(), set.end(), [&](std::string_view scope) {
            return std::find(service.implied.begin(), service.implied.end(), scope) != service.implied.end();
        });
    });
}

Reach reach_of(const Service& service, const CompiledEntry& entry, const ApprovalPolicy& approval) {
    const Verdict verdicts[] = {approval.low, approval.medium, approval.high, approval.critical};
    Reach reach;
    for (const std::string_view id : entry.operation_ids()) {
        const std::optional<OperationMatch> operation = entry.operation(id);
        if (!operation || !operation->is_scoped || !is_granted(*operation, service)) continue;
        const Verdict verdict = verdicts[static_cast<std::size_t>(operation->risk)];
        if (verdict == Verdict::Allow) reach.worst = std::max(reach.worst, operation->risk);
        else if (verdict != Verdict::Deny) ++reach.asked;
    }
    return reach;
}

std::size_t count_rules(const Mission& mission, std::initializer_list<Verdict> verdicts) {
    return static_cast<std::size_t>(std::count_if(mission.rules.begin(), mission.rules.end(), [&](const Rule& rule) {
        return std::find(verdicts.begin(), verdicts.end(), rule.verdict) != verdicts.end();
    }));
}

bool sends_data(const Host& host) {
    return std::any_of(host.match.begin(), host.match.end(), [](const RequestPattern& pattern) {
        return pattern.method != "GET" && pattern.method != "HEAD" && pattern.method != "OPTIONS";
    });
}

std::string count(std::size_t number, const std::string& thing) {
    return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
}

}  // namespace

std::string exposure_line(const Mission& mission, const CatalogSet& catalog) {
    std::string out = "exposure: ";
    std::size_t hosts = mission.hosts.size();
    std::set<std::string> writers;
    Risk worst = Risk::Low;
    std::size_t unbounded = 0;
    std::size_t asked = count_rules(mission, {Verdict::Ask, Verdict::StepUp});
    for (const Service& service : mission.services) {
        for (const Endpoint& endpoint : service.endpoints) hosts += endpoint.hosts.size();
        const CompiledEntry* entry = catalog.find(service.catalog);
        const Reach reach = entry == nullptr ? Reach{Risk::Critical, 0} : reach_of(service, *entry, mission.approval);
        if (reach.worst > Risk::Low) writers.insert(service.name);
        worst = std::max(worst, reach.worst);
        asked += reach.asked;
        const bool has_resources = entry != nullptr && !entry->resource_names().empty();
        if (has_resources && service.resources.empty() && service.account_resources.empty()) ++unbounded;
    }
    const std::string delegates = mission.delegate ? "; starts child missions within these rules" : "";
    if (hosts == 0) {
        return out + "no network; files: " + count(1, "workspace") + " writable; at most " +
               format_duration(mission.ttl_ms) + delegates;
    }
    out += count(mission.services.size(), "credential") + " lent, never held; " + count(hosts, "host") + " reachable; ";
    out += "unattended up to " + std::string(name_of(worst)) + " risk";
    if (!writers.empty()) {
        out += " (changes things in ";
        for (const std::string& name : writers) out += (name == *writers.begin() ? "" : ", ") + name;
        out += ")";
    }
    if (asked > 0) out += "; " + count(asked, "kind") + " of request would ask a human and are refused in this version";
    const std::size_t beyond = count_rules(mission, {Verdict::Allow});
    if (beyond > 0) out += "; " + count(beyond, "rule") + " beyond what the catalog describes";
    if (unbounded > 0) out += "; " + count(unbounded, "service") + " without resource bounds";
    const auto senders =
        static_cast<std::size_t>(std::count_if(mission.hosts.begin(), mission.hosts.end(), sends_data));
    if (senders > 0) out += "; " + count(senders, "plain host") + " can be sent data";
    const auto writable =
        static_cast<std::size_t>(std::count_if(mission.sandbox.mounts.begin(), mission.sandbox.mounts.end(),
                                               [](const Mount& mount) { return mount.writable; }));
    out += "; " + count(1 + writable, "folder") + " writable; at most " + format_duration(mission.ttl_ms);
    return printable(out + delegates);
}

}  // namespace sanctum::profiles
