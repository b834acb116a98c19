// SPDX-License-Identifier: Apache-2.0
#include "profiles/policy/warm_needs.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace sanctum::profiles {
namespace {

bool is_literal(std::string_view pattern) { return pattern.find('*') == std::string_view::npos; }

// The first set that the grant covers, as decide() takes it.
std::optional<std::vector<std::string>> granted_scopes(const Service& service, const OperationMatch& operation) {
    for (const std::vector<std::string_view>& set : operation.any_of) {
        const bool is_granted = std::all_of(set.begin(), set.end(), [&](std::string_view scope) {
            return std::find(service.implied.begin(), service.implied.end(), scope) != service.implied.end();
        });
        if (!is_granted) continue;
        std::vector<std::string> scopes(set.begin(), set.end());
        std::sort(scopes.begin(), scopes.end());
        return scopes;
    }
    return std::nullopt;
}

std::optional<std::map<std::string, std::vector<std::string>>> only_resources(const Service& service,
                                                                              const OperationMatch& operation) {
    std::map<std::string, std::vector<std::string>> resources;
    for (const auto& [name, unused] : operation.resources) {
        const auto granted = service.resources.find(std::string(name));
        if (granted == service.resources.end() || granted->second.size() != 1) return std::nullopt;
        if (!is_literal(granted->second.front())) return std::nullopt;
        resources[std::string(name)] = granted->second;
    }
    return resources;
}

// What most operations of low risk need that the grant covers; of equals the first.
std::optional<WarmNeed> likeliest_need(const Service& service, const CompiledEntry& entry) {
    std::vector<std::pair<WarmNeed, std::size_t>> counted;
    for (const std::string_view id : entry.operation_ids()) {
        const std::optional<OperationMatch> operation = entry.operation(id);
        if (!operation || !operation->is_scoped || operation->risk != Risk::Low) continue;
        auto scopes = granted_scopes(service, *operation);
        auto resources = only_resources(service, *operation);
        if (!scopes || !resources) continue;
        const auto known = std::find_if(counted.begin(), counted.end(), [&](const auto& one) {
            return one.first.scopes == *scopes && one.first.resources == *resources;
        });
        if (known != counted.end()) ++known->second;
        else counted.push_back({{service.name, std::move(*scopes), std::move(*resources), operation->risk}, 1});
    }
    const auto most = std::max_element(counted.begin(), counted.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (most == counted.end()) return std::nullopt;
    return std::move(most->first);
}

}  // namespace

std::vector<WarmNeed> warm_needs(const Mission& mission, const CatalogSet& catalog) {
    std::vector<WarmNeed> needs;
    for (const Service& service : mission.services) {
        if (!service.warm || !service.reuse || service.account.empty()) continue;
        const CompiledEntry* entry = catalog.find(service.catalog);
        std::optional<WarmNeed> need = entry == nullptr ? std::nullopt : likeliest_need(service, *entry);
        if (need) needs.push_back(std::move(*need));
    }
    return needs;
}

}  // namespace sanctum::profiles
