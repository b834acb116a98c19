// SPDX-License-Identifier: Apache-2.0
// Git over HTTP: which of the protocol's requests a request is. Internal to policy.
#pragma once

#include "profiles/policy/decide.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace sanctum::profiles {

/// The smart protocol's four requests (gitprotocol-http(5)) and the batch of git-lfs, whose body says what it is for;
/// everything else below a git endpoint is unknown.
enum class GitRequest : std::uint8_t { AdvertiseFetch, Fetch, AdvertisePush, Push, LfsBatch };

struct GitMatch {
    GitRequest kind{};
    std::string repo;  ///< path of the repository without slashes at its ends
};

/// `path` is below the endpoint's base path. Exactly one `service=` and no other parameter; no query on the POSTs.
[[nodiscard]] std::optional<GitMatch> match_git(std::string_view method, std::string_view path, std::string_view query,
                                                std::string_view repo_suffix);

/// True when the service names refs narrowly enough that rewriting them was meant (see classify_git).
[[nodiscard]] bool has_bounded_refs(const Service& service);

/// Fills `operation` for a request below a git endpoint; leaves it unknown when the protocol does not know it.
void classify_git(const Service& service, const Endpoint& endpoint, const CompiledEntry& entry, const Request& request,
                  std::string_view path, Operation& operation);

}  // namespace sanctum::profiles
