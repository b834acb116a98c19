// SPDX-License-Identifier: Apache-2.0
// Credential Access Boundaries: what a token of Google's may still do in Cloud Storage. Pure.
// https://cloud.google.com/iam/docs/downscoping-short-lived-credentials
#pragma once

#include "base/result.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/sources/source.hpp"

#include <string>
#include <vector>

namespace sanctum::vault {

/// One bucket, as far as a need may use it.
struct BoundaryRule {
    std::string bucket;
    std::vector<std::string> prefixes;  ///< of objects' names; empty: all
    std::vector<std::string> roles;     ///< sorted
};

/// The rules of a need: one for each bucket that service and account both name, with the objects that both name, and
/// the roles that the account's `boundary` gives its scopes. Patterns of objects become the part before their first
/// `*`; what a pattern says behind it is left to our own decision.
/// Errors: NotPermitted with the setting to change (a scope without a role, no bucket by name, or more than
/// kBoundaryRulesMax of them).
[[nodiscard]] Result<std::vector<BoundaryRule>> boundary_rules(const profiles::ProviderAccount& account,
                                                               const SourceNeed& need);

/// `{"accessBoundary":{"accessBoundaryRules":[…]}}`.
[[nodiscard]] std::string boundary_json(const std::vector<BoundaryRule>& rules);

/// For the record, one text for each rule: `roles/storage.objectViewer b/in/`.
[[nodiscard]] std::vector<std::string> boundary_texts(const std::vector<BoundaryRule>& rules);

}  // namespace sanctum::vault
