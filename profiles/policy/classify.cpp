// SPDX-License-Identifier: Apache-2.0
// Which operation a request is. Nothing is allowed or refused here.
#include "profiles/policy/decide.hpp"

#include "profiles/policy/git.hpp"
#include "profiles/policy/query.hpp"

#include <algorithm>

namespace sanctum::profiles {
namespace {

bool covers_host(std::string_view name, std::string_view host) {
    if (!name.starts_with("*.")) return name == host;
    return host.size() > name.size() - 1 && host.ends_with(name.substr(1));
}

// The same order as find_dial_entry: exact names first, then the longest wildcard. Without building the table.
void find_target(const Mission& mission, std::string_view host, Operation& operation) {
    for (std::size_t s = 0; s < mission.services.size(); ++s) {
        const std::vector<Endpoint>& endpoints = mission.services[s].endpoints;
        for (std::size_t e = 0; e < endpoints.size(); ++e) {
            if (std::find(endpoints[e].hosts.begin(), endpoints[e].hosts.end(), host) == endpoints[e].hosts.end()) {
                continue;
            }
            operation.service = static_cast<int>(s);
            operation.endpoint = static_cast<int>(e);
            operation.name = mission.services[s].name;
            return;
        }
    }
    std::string_view best;
    for (std::size_t h = 0; h < mission.hosts.size(); ++h) {
        const std::string_view name = mission.hosts[h].name;
        const bool is_exact = name == host;
        if (!covers_host(name, host) || (!is_exact && name.size() <= best.size())) continue;
        best = name;
        operation.host = static_cast<int>(h);
        operation.name = name;
        if (is_exact) return;
    }
}

// `/git` of `/git/demo.git` → `/demo.git`; empty when the path is not below the base path.
std::string_view below_base(std::string_view path, std::string_view base) {
    if (base.empty()) return path;
    if (!path.starts_with(base)) return {};
    const std::string_view rest = path.substr(base.size());
    return rest.starts_with('/') ? rest : std::string_view();
}

void classify_http(const Endpoint& endpoint, const CompiledEntry& entry, const Request& request, std::string_view path,
                   Operation& operation) {
    const std::optional<OperationMatch> match = entry.find(endpoint.name, request.method, path, request.query);
    if (!match) return;
    operation.id = match->id;
    operation.is_known = match->is_scoped;
    operation.risk = match->risk;
    operation.says = match->says;
    operation.needed.reserve(match->any_of.size());
    for (const auto& set : match->any_of) operation.needed.emplace_back(set.begin(), set.end());
    for (const auto& [name, value] : match->resources) operation.resources[std::string(name)] = {value};
    operation.redact.assign(match->redact.begin(), match->redact.end());
    for (const std::string_view name : match->resource_query) {
        if (const auto value = single_parameter(request.query, name)) {
            operation.resource_query[std::string(name)] = *value;
        }
    }
}

void classify_host(const Request& request, Operation& operation) {
    operation.id = request.method;
    operation.is_known = true;
    const bool is_read = request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
    operation.risk = is_read ? Risk::Low : Risk::Medium;
    operation.says = request.method + " on " + request.host;
}

}  // namespace

std::string operation_path(const Endpoint& endpoint, std::string_view path) {
    const std::string_view below = below_base(path, endpoint.base_path);
    if (endpoint.path_prefix.empty()) return std::string(below);
    return below == "/" ? endpoint.path_prefix : endpoint.path_prefix + std::string(below);
}

Operation classify(const Mission& mission, const CatalogSet& catalog, const Request& request) {
    Operation operation;
    find_target(mission, request.host, operation);
    if (operation.host >= 0) classify_host(request, operation);
    if (operation.service < 0) return operation;
    const Service& service = mission.services[static_cast<std::size_t>(operation.service)];
    const Endpoint& endpoint = service.endpoints[static_cast<std::size_t>(operation.endpoint)];
    const CompiledEntry* entry = catalog.find(service.catalog);
    const std::string path = operation_path(endpoint, request.path);
    if (entry == nullptr || path.empty()) return operation;
    if (endpoint.kind == EndpointKind::Git) classify_git(service, endpoint, *entry, request, path, operation);
    else classify_http(endpoint, *entry, request, path, operation);
    operation.is_login = service.login && !operation.id.empty() && operation.id == service.login->operation;
    return operation;
}

}  // namespace sanctum::profiles
