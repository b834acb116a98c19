// SPDX-License-Identifier: Apache-2.0
// Which credentials are worth having before the first request asks for them.
#pragma once

#include "profiles/catalog/catalog.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <string>
#include <vector>

namespace sanctum::profiles {

/// What a request of a warm service will ask a credential for, as decide() would put it.
struct WarmNeed {
    std::string service;
    std::vector<std::string> scopes;  ///< sorted
    std::map<std::string, std::vector<std::string>> resources;
    Risk risk = Risk::Low;
};

/// One for each service marked `warm = true`: what most of its operations of low risk need that its grant covers, on
/// the one resource that it names. Where there is more than one resource to choose from, none is guessed; nor where
/// each exchange gets a new credential (`reuse = false`).
[[nodiscard]] std::vector<WarmNeed> warm_needs(const Mission& mission, const CatalogSet& catalog);

}  // namespace sanctum::profiles
