// SPDX-License-Identifier: Apache-2.0
// Scopes asked and scopes received, in the provider's words and in ours. Pure.
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/sources/source.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sanctum::vault {

/// What the provider calls `scopes`, sorted, each once.
[[nodiscard]] std::vector<std::string> provider_scopes(const profiles::ProviderAccount& account,
                                                       const std::vector<std::string>& scopes);

/// As the `scope` parameter wants them, with spaces between.
[[nodiscard]] std::string join_scopes(const std::vector<std::string>& scopes);

/// Compares what came with what was asked, both in the provider's words and sorted. `received` absent: the provider
/// does not say (RFC 6749 5.1: then it gave what was asked; but who does not say may have given more, so ours alone
/// counts as narrowing).
///
/// ScopeTooWide when more came than was asked and the account does not accept that; ScopeUnavailable when less came.
/// An account that asks for no scopes is not compared: its provider has no such thing.
[[nodiscard]] std::variant<ScopeReport, SourceFailure> check_scopes(
    const profiles::Account& account, const std::vector<std::string>& asked,
    const std::optional<std::vector<std::string>>& received);

}  // namespace sanctum::vault
