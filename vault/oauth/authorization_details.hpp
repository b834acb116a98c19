// SPDX-License-Identifier: Apache-2.0
// Rich authorization requests (RFC 9396): what a token may do, in the provider's own structure, filled with the
// resources of one need. Pure.
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/sources/source.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

/// One authorization detail; members of other kinds than texts and lists of texts are none of ours.
struct DetailMembers {
    std::map<std::string, std::string> texts;               ///< `type` is one of them
    std::map<std::string, std::vector<std::string>> lists;  ///< each sorted
    /// `repository actions=read,write`: for the record.
    [[nodiscard]] std::string words() const;
    /// The object in JSON.
    [[nodiscard]] std::string json() const;
};

/// The account's details for a need, placeholders filled: of a list's text with one for each resource of that name, of
/// a single text with the only one. Empty when the account has none. Errors: NotPermitted (a scope without a detail, a
/// resource that the need does not name or, for a single text, more than one), with the remedy.
[[nodiscard]] Result<std::vector<DetailMembers>> details_for(const profiles::ProviderAccount& account,
                                                             const SourceNeed& need);
/// The account's details that a person is asked to consent to, for what missions may need of them later: those of
/// `scopes` (the catalog's; others have none), filled with the account's own resources. Errors: InvalidProfile (a
/// resource that the account does not name one by one), with what to write.
[[nodiscard]] Result<std::vector<DetailMembers>> details_to_consent(const profiles::Account& account,
                                                                    const std::vector<std::string>& scopes);
/// True when a detail depends on resources.
[[nodiscard]] bool names_resources(const profiles::ProviderAccount& account);

/// The value of the parameter `authorization_details`.
[[nodiscard]] std::string details_json(const std::vector<DetailMembers>& details);

/// Takes them out of a token's or an introspection's answer (7, 9.2); absent: it holds no list of objects.
[[nodiscard]] std::optional<std::vector<DetailMembers>> take_details(JsonAnswer& json);

/// Compares what came with what was asked. Members that the provider adds narrow or explain (7.1) and do not count.
/// ScopeTooWide when something came that was not asked or nothing is said of it, and the account does not accept that;
/// ScopeUnavailable when less came.
[[nodiscard]] std::optional<SourceFailure> check_details(const profiles::Account& account,
                                                         const std::vector<DetailMembers>& asked,
                                                         const std::optional<std::vector<DetailMembers>>& received);

}  // namespace sanctum::vault
