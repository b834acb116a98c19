// SPDX-License-Identifier: Apache-2.0
// The session policy of AWS STS: what a mission may do, in IAM's words. A session may at most what its role and this
// policy both allow. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html
#pragma once

#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::vault {

/// Patterns by resource (`bucket`, `key`, `prefix`); an absent one is unbounded.
using ResourceBounds = std::map<std::string, std::vector<std::string>>;

/// What the mission's services of an account may touch, one entry for each service: where profile and account both
/// bound a resource, what is in both. Pure.
[[nodiscard]] std::vector<ResourceBounds> bounds_of(const profiles::Mission& mission, std::string_view account);

/// The patterns that cover exactly what is covered by one of `left` and one of `right`. Pure.
[[nodiscard]] std::vector<std::string> common_patterns(const std::vector<std::string>& left,
                                                       const std::vector<std::string>& right);

/// The policy as JSON. `partition`: of the role (`aws`, `aws-cn`). Actions of S3 are limited to the buckets and keys of
/// the bounds, `s3:ListBucket` to the prefixes; a `*` within a key is wider in IAM, which does not know segments, and
/// the interceptor's own decision is the sharper one. Actions of other services are limited as actions only.
/// Errors: NotPermitted (an action that is none, bounds with nothing in common, a pattern that a policy cannot say),
/// Limit (above kSessionPolicyCharsMax). Pure.
[[nodiscard]] Result<std::string> session_policy(std::string_view partition, const std::vector<std::string>& actions,
                                                 const std::vector<ResourceBounds>& bounds);

}  // namespace sanctum::vault
