// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/storage_boundary.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "profiles/policy/patterns.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace sanctum::vault {
namespace {

using Texts = std::vector<std::string>;

const Texts* find_bounds(const std::map<std::string, Texts>& bounds, const std::string& name) {
    const auto found = bounds.find(name);
    return found == bounds.end() ? nullptr : &found->second;
}

Error no_bucket(const std::string& why) {
    return Error{Errc::NotPermitted, "a boundary needs the mission's buckets by name: " + why +
                                         " (write resources = { bucket = [\"NAME\"] } in the service)"};
}

// The buckets that both name. The one who leaves them open leaves them to the other.
Result<Texts> buckets_of(const SourceNeed& need) {
    const Texts* ours = find_bounds(need.service_bounds, "bucket");
    const Texts* accounts = find_bounds(need.account_bounds, "bucket");
    if (ours == nullptr && accounts == nullptr) return no_bucket("neither service nor account names one");
    std::set<std::string> buckets;
    for (const std::string& bucket : ours == nullptr ? *accounts : *ours) {
        if (bucket.find_first_of("*/") != std::string::npos) return no_bucket("`" + bucket + "` stands for several");
        if (accounts == nullptr || profiles::covers_resource(*accounts, bucket)) buckets.insert(bucket);
    }
    if (buckets.empty()) return no_bucket("service and account have none in common");
    if (buckets.size() > kBoundaryRulesMax) {
        return no_bucket("more than " + std::to_string(kBoundaryRulesMax) + " do not fit into one");
    }
    return Texts(buckets.begin(), buckets.end());
}

// `in/**` → `in/`; `in/x` → `in/x`, percent escapes taken away.
std::string prefix_of(std::string_view pattern) {
    std::string prefix;
    for (std::size_t begin = 0; begin <= pattern.size();) {
        const std::size_t end = std::min(pattern.find('/', begin), pattern.size());
        const std::string_view segment = pattern.substr(begin, end - begin);
        if (segment.find('*') != std::string_view::npos) return prefix;
        prefix += profiles::decode_segment(segment);
        if (end < pattern.size()) prefix += '/';
        begin = end + 1;
    }
    return prefix;
}

Texts prefixes_of(const Texts& patterns) {
    Texts prefixes;
    for (const std::string& pattern : patterns) prefixes.push_back(prefix_of(pattern));
    return prefixes;
}

// Absent: every object. Of two prefixes the longer one is what both cover; none at all: nothing is.
std::optional<Texts> objects_of(const SourceNeed& need) {
    const Texts* ours = find_bounds(need.service_bounds, "object");
    const Texts* accounts = find_bounds(need.account_bounds, "object");
    if (ours == nullptr && accounts == nullptr) return std::nullopt;
    if (ours == nullptr || accounts == nullptr) return prefixes_of(ours == nullptr ? *accounts : *ours);
    std::set<std::string> both;
    for (const std::string& mine : prefixes_of(*ours)) {
        for (const std::string& theirs : prefixes_of(*accounts)) {
            if (mine.starts_with(theirs)) both.insert(mine);
            else if (theirs.starts_with(mine)) both.insert(theirs);
        }
    }
    return Texts(both.begin(), both.end());
}

Result<Texts> roles_of(const profiles::ProviderAccount& account, const SourceNeed& need) {
    std::set<std::string> roles;
    for (const std::string& scope : need.scopes) {
        const auto found = account.boundary.find(scope);
        if (found == account.boundary.end()) {
            return Error{Errc::NotPermitted, "the account's boundary has no role for scope " + scope +
                                                 " (add one that permits it: \"" + scope +
                                                 "\" = \"roles/storage.…\")"};
        }
        roles.insert(found->second);
    }
    if (roles.empty()) return Error{Errc::NotPermitted, "a request that needs no scope gets no token with a boundary"};
    return Texts(roles.begin(), roles.end());
}

// A text in CEL, in single quotes.
std::string cel_text(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\\' || c == '\'') out += '\\';
        out += c;
    }
    return out + "'";
}

// Empty: everything in the bucket. The second half is for listings, which are of the bucket itself.
std::string condition_of(const BoundaryRule& rule) {
    std::string expression;
    for (const std::string& prefix : rule.prefixes) {
        if (prefix.empty()) return {};
        if (!expression.empty()) expression += " || ";
        expression += "resource.name.startsWith(" +
                      cel_text("projects/_/buckets/" + rule.bucket + "/objects/" + prefix) + ")";
        expression += " || api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith(";
        expression += cel_text(prefix) + ")";
    }
    return expression;
}

}  // namespace

Result<std::vector<BoundaryRule>> boundary_rules(const profiles::ProviderAccount& account, const SourceNeed& need) {
    SANCTUM_TRY(const Texts roles, roles_of(account, need));
    SANCTUM_TRY(const Texts buckets, buckets_of(need));
    const std::optional<Texts> objects = objects_of(need);
    if (objects && objects->empty()) {
        return Error{Errc::NotPermitted, "service and account have no objects in common (check `object` of both)"};
    }
    std::vector<BoundaryRule> rules;
    for (const std::string& bucket : buckets) rules.push_back({bucket, objects.value_or(Texts()), roles});
    return rules;
}

std::string boundary_json(const std::vector<BoundaryRule>& rules) {
    std::string json = "{\"accessBoundary\":{\"accessBoundaryRules\":[";
    for (const BoundaryRule& rule : rules) {
        if (!json.ends_with('[')) json += ",";
        json += "{\"availableResource\":";
        wire::append_json_string(json, "//storage.googleapis.com/projects/_/buckets/" + rule.bucket);
        json += ",\"availablePermissions\":[";
        for (const std::string& role : rule.roles) {
            if (!json.ends_with('[')) json += ",";
            wire::append_json_string(json, "inRole:" + role);
        }
        json += "]";
        if (const std::string condition = condition_of(rule); !condition.empty()) {
            json += ",\"availabilityCondition\":{\"expression\":";
            wire::append_json_string(json, condition);
            json += "}";
        }
        json += "}";
    }
    return json + "]}}";
}

std::vector<std::string> boundary_texts(const std::vector<BoundaryRule>& rules) {
    std::vector<std::string> texts;
    for (const BoundaryRule& rule : rules) {
        for (const std::string& role : rule.roles) {
            if (rule.prefixes.empty()) texts.push_back(role + " " + rule.bucket);
            for (const std::string& prefix : rule.prefixes) texts.push_back(role + " " + rule.bucket + "/" + prefix);
        }
    }
    return texts;
}

}  // namespace sanctum::vault
