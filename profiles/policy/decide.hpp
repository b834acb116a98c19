// SPDX-License-Identifier: Apache-2.0
// The decision: which operation a request is, and whether the mission allows it. Pure; no clock, no files.
//
// It lives beside the profile and not in the interceptor because two programs must give the same answer: the
// interceptor, which enforces it, and `sanctum explain FILE METHOD URL`, which says it beforehand.
#pragma once

#include "profiles/catalog/catalog.hpp"
#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

/// One command of a git push (gitprotocol-pack(5), "Reference Update Request").
struct RefUpdate {
    std::string old_id;
    std::string new_id;
    std::string name;  ///< full: refs/heads/agent/x
    [[nodiscard]] bool is_delete() const { return new_id.find_first_not_of('0') == std::string::npos; }
    [[nodiscard]] bool is_create() const { return old_id.find_first_not_of('0') == std::string::npos; }
};

/// A request in canonical form (interceptor/http makes it; `explain` parses a URL into it).
struct Request {
    std::string method;
    std::string host;  ///< lower-case, no port, no trailing dot
    std::uint16_t port = 443;
    bool is_tls = true;
    std::string path;   ///< canonical: starts with '/', no dot segments, no forbidden escapes
    std::string query;  ///< raw, without '?'
    std::optional<std::vector<RefUpdate>> ref_updates;  ///< the push's commands once they have been read
    std::string lfs_operation;  ///< of git-lfs's batch once it has been read: `download` or `upload`
};

/// What a request is.
struct Operation {
    int service = -1;   ///< index into Mission::services; -1 with host >= 0: plain host; both -1: unknown host
    int endpoint = -1;
    int host = -1;
    std::string name;   ///< profile's name of service or host
    std::string id;     ///< catalog id, `git.fetch`/`git.push`, for plain hosts the method; empty: unknown operation
    bool is_known = false;
    std::vector<std::vector<std::string>> needed;
    std::map<std::string, std::vector<std::string>> resources;
    std::map<std::string, std::string> resource_query;  ///< the query parameters the catalog names, decoded
    Risk risk = Risk::High;
    std::string says;
    std::vector<std::string> redact;
    bool is_login = false;             ///< a request to the token endpoint: the vault answers it
    bool needs_push_commands = false;  ///< git push: read the command list, fill Request::ref_updates, classify again
    bool needs_lfs_operation = false;  ///< git-lfs: read the body, fill Request::lfs_operation, classify again
};

/// The path that templates, patterns and resources of an endpoint are about: without its base path, and behind what the
/// host names. Empty: the request does not lie below the base path.
[[nodiscard]] std::string operation_path(const Endpoint& endpoint, std::string_view path);

[[nodiscard]] Operation classify(const Mission& mission, const CatalogSet& catalog, const Request& request);

/// The answer and its ground.
struct Decision {
    Verdict verdict = Verdict::Deny;
    std::string reason;  ///< reason_code of formats 8 when the verdict is Deny; empty otherwise
    std::string rule;    ///< `grant`, `host[0]`, `rule[2]`, `resources.ref`, `approval.high`, `budget[1]`, …
    std::string place;   ///< `triage.toml:41` for explain; never shown to the agent
    std::string text;    ///< one sentence in words for explain and the refusal's detail (no rule text)
    std::vector<std::string> scopes;  ///< the any-of set that was satisfied, sorted; the lease's need
    Risk risk = Risk::High;
};

/// Counters that budgets look at: how many exchanges have been counted under each budget line in its window.
/// Owned by the caller; `Mission::budgets[i]` ↔ `spent[i]`.
using Spent = std::vector<std::uint64_t>;

/// deny > ask > allow. Budgets are judged but not counted here.
[[nodiscard]] Decision decide(const Mission& mission, const Request& request, const Operation& operation,
                              const Spent& spent);

/// Which budget lines an allowed exchange counts under.
[[nodiscard]] std::vector<std::size_t> budgets_of(const Mission& mission, const Operation& operation,
                                                  const Decision& decision);

}  // namespace sanctum::profiles
