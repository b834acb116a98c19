// SPDX-License-Identifier: Apache-2.0
// A child mission's profile against the mission whose agent starts it: what it says is checked, what it does not say
// follows the parent. Pure.
//
// The two steps together hold for every request: what the child may do without a human, the parent may do so as well.
#pragma once

#include "profiles/schema/resolve.hpp"

namespace sanctum::profiles {

/// Checks that nothing which the child's profile says is wider than its parent. Everything that is wider is named with
/// its place, in the order of the text; the operator's configuration is not looked at, so that a refusal tells an agent
/// nothing about it. `caller`: working directory and home that the profile's paths are completed with.
/// Errors: Denied (wider), InvalidProfile (an override that is none).
[[nodiscard]] Status check_within(const Profile& profile, const Overrides& overrides, const Caller& caller,
                                  const Mission& parent);

/// The resolved child with what its profile left open taken from the parent: resources, rules, approvals, limits, and
/// places that lie inside of a granted one. It ends in `left_ms` at the latest.
/// Errors: Denied (hosts or bounds of an account are not what they were when the parent started).
[[nodiscard]] Result<Mission> narrow_to_parent(Mission child, const Mission& parent, std::int64_t left_ms);

/// `calls`, `SERVICE:SCOPE` or `SERVICE/OPERATION`, as it is written in a profile.
[[nodiscard]] std::string budget_key(const Budget& budget);

/// What the child takes of its parent's budget: for each line of the parent the limit of the child's line with the same
/// key, 0 where the line is about a service that the child does not have. As long as Mission::budgets of the parent.
[[nodiscard]] std::vector<std::uint64_t> budget_shares(const Mission& child, const Mission& parent);

}  // namespace sanctum::profiles
