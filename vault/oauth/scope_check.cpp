// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/scope_check.hpp"

#include <algorithm>
#include <iterator>

namespace sanctum::vault {
namespace {

std::vector<std::string> without(const std::vector<std::string>& from, const std::vector<std::string>& these) {
    std::vector<std::string> rest;
    std::set_difference(from.begin(), from.end(), these.begin(), these.end(), std::back_inserter(rest));
    return rest;
}

}  // namespace

std::vector<std::string> provider_scopes(const profiles::ProviderAccount& account,
                                         const std::vector<std::string>& scopes) {
    std::vector<std::string> names;
    for (const std::string& scope : scopes) {
        const auto found = account.scope_names.find(scope);
        names.push_back(found == account.scope_names.end() ? scope : found->second);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::string join_scopes(const std::vector<std::string>& scopes) {
    std::string text;
    for (const std::string& scope : scopes) {
        if (!text.empty()) text += " ";
        text += scope;
    }
    return text;
}

std::variant<ScopeReport, SourceFailure> check_scopes(const profiles::Account& account,
                                                      const std::vector<std::string>& asked,
                                                      const std::optional<std::vector<std::string>>& received) {
    ScopeReport report;
    report.asked = asked;
    report.received = received;
    if (!account.provider.asks_scopes || !received) return report;
    const std::string place = "account " + account.name + ": ";
    if (const auto missing = without(asked, *received); !missing.empty()) {
        return SourceFailure{SourceFault::ScopeUnavailable,
                             place + "the provider gave no " + join_scopes(missing) + "; connect the account with it",
                             Milliseconds(0)};
    }
    const auto excess = without(*received, asked);
    if (excess.empty()) {
        report.narrowed_by = NarrowedBy::Both;
        return report;
    }
    if (account.provider.accepts_wider) return report;
    return SourceFailure{SourceFault::ScopeTooWide,
                         place + "the provider gave " + join_scopes(excess) +
                             " as well, which nobody asked for; write wider = \"accept\" at the account to let "
                             "Sanctum alone hold it back",
                         Milliseconds(0)};
}

}  // namespace sanctum::vault
