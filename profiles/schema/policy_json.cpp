// SPDX-License-Identifier: Apache-2.0
// What the agent may know about its own rules: /run/sanctum/policy.json, schema sanctum.policy/1. Names, hosts, scopes
// and patterns; no account, no place in the operator's files, no rule's reason.
#include "profiles/schema/resolve.hpp"

#include "base/wire/archive.hpp"

namespace sanctum::profiles {
namespace {

struct EndpointPolicy {
    std::vector<std::string> hosts;
    std::vector<std::uint16_t> ports;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("hosts", self.hosts);
        archive("ports", self.ports);
    }
};

struct ServicePolicy {
    std::string name;
    std::string api;
    std::vector<std::string> grant;
    std::map<std::string, std::vector<std::string>> resources;
    std::vector<EndpointPolicy> endpoints;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("api", self.api);
        archive("grant", self.grant);
        archive("resources", self.resources);
        archive("endpoints", self.endpoints);
    }
};

struct HostPolicy {
    std::string name;
    std::vector<std::uint16_t> ports;
    std::vector<std::string> match;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("ports", self.ports);
        archive("match", self.match);
    }
};

struct RulePolicy {
    std::string verdict;
    std::string about;
    std::vector<std::string> match;
    std::vector<std::string> operation;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("verdict", self.verdict);
        archive("about", self.about);
        archive("match", self.match);
        archive("operation", self.operation);
    }
};

struct Policy {
    std::string schema = "sanctum.policy/1";
    std::string mission;
    std::string name;
    std::string agent;
    std::string purpose;
    std::int64_t ttl_ms = 0;
    std::vector<ServicePolicy> services;
    std::vector<HostPolicy> hosts;
    std::vector<RulePolicy> rules;
    ApprovalPolicy approval;
    bool delegate = false;
    std::string note;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("schema", self.schema);
        archive("mission", self.mission);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("ttl_ms", self.ttl_ms);
        archive("services", self.services);
        archive("hosts", self.hosts);
        archive("rules", self.rules);
        archive("approval", self.approval);
        archive("delegate", self.delegate);
        archive("note", self.note);
    }
};

constexpr const char* kNote =
    "Requests outside these rules are answered with 403 and a Sanctum-Reason header. "
    "Credentials are added outside of this sandbox; none is needed or to be found here.";

std::vector<std::string> texts_of(const std::vector<RequestPattern>& match) {
    std::vector<std::string> out;
    for (const RequestPattern& pattern : match) out.push_back(pattern.method + " " + pattern.path);
    return out;
}

}  // namespace

std::string policy_json(const Mission& mission) {
    Policy policy;
    policy.mission = mission.id;
    policy.name = mission.name;
    policy.agent = mission.agent;
    policy.purpose = mission.purpose;
    policy.ttl_ms = mission.ttl_ms;
    policy.approval = mission.approval;
    policy.delegate = mission.delegate;
    policy.note = kNote;
    for (const Service& service : mission.services) {
        ServicePolicy shown{service.name, service.catalog, service.grant, service.resources, {}};
        for (const Endpoint& endpoint : service.endpoints) shown.endpoints.push_back({endpoint.hosts, endpoint.ports});
        policy.services.push_back(std::move(shown));
    }
    for (const Host& host : mission.hosts) policy.hosts.push_back({host.name, host.ports, texts_of(host.match)});
    for (const Rule& rule : mission.rules) {
        policy.rules.push_back({std::string(name_of(rule.verdict)), rule.service.empty() ? rule.host : rule.service,
                                texts_of(rule.match), rule.operations});
    }
    return wire::to_json(policy);
}

}  // namespace sanctum::profiles
