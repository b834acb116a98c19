// SPDX-License-Identifier: Apache-2.0
// A profile as its author wrote it: typed, every value with its place, nothing resolved. Internal.
//
// read_profile_tree checks the grammar: keys, types, words, single values. Whatever needs the catalog, the operator's
// configuration or a second entry of the profile is checked in resolve_mission.
#pragma once

#include "profiles/schema/mission.hpp"
#include "profiles/schema/resolve.hpp"
#include "profiles/schema/toml_document.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sanctum::profiles {

using PlacedText = Placed<std::string>;
using PlacedTexts = std::vector<PlacedText>;

/// `KEY = [ … ]` of a table whose keys are the author's (resources).
struct NamedTexts {
    PlacedText name;
    PlacedTexts texts;
};

/// `present = { GH_TOKEN = true }` or a literal placeholder.
struct PresentText {
    PlacedText variable;
    std::optional<std::string> literal;  ///< absent: the catalog's placeholder
};

struct ServiceText {
    Place at;
    PlacedText name, catalog, account;
    PlacedTexts grant;
    std::vector<NamedTexts> resources;
    std::vector<PresentText> present;
    bool reuse = true;
    bool warm = false;
    std::optional<Place> captures_login;  ///< where `login = "capture"` stands
};

struct HostText {
    Place at;
    PlacedText name;
    std::vector<std::uint16_t> ports;
    std::vector<Placed<RequestPattern>> match;
};

struct RuleText {
    Place at;
    Verdict verdict = Verdict::Deny;
    std::optional<PlacedText> service, host;
    std::vector<Placed<RequestPattern>> match;
    PlacedTexts operations;
    std::optional<Placed<Risk>> risk;
    std::string reason;
};

struct BudgetText {
    PlacedText key;
    std::uint64_t limit = 0;
    std::int64_t window_ms = 0;
};

struct SetVariable {
    PlacedText name;
    std::string value;
};

struct SandboxText {
    std::optional<PlacedText> workspace;
    PlacedTexts read, write;
    PlacedTexts pass;
    std::vector<SetVariable> set;
    Home home = Home::Fresh;
    RunsLater runs_later = RunsLater::Hold;
    bool attribute = true;
    SandboxLimits limits;
    std::uint32_t landlock_min = 1;
    Place home_at, attribute_at, limits_at;  ///< of the keys; those of the profile's beginning where they are absent
};

struct ApprovalText {
    std::optional<Placed<Verdict>> low, medium, high, critical;
    std::optional<Placed<std::int64_t>> timeout_ms;
};

struct ProfileText {
    Place mission_at;
    std::optional<PlacedText> name, agent;
    std::string purpose;
    std::optional<Placed<std::int64_t>> ttl_ms;
    std::optional<Placed<bool>> delegate;
    SandboxText sandbox;
    std::vector<ServiceText> services;
    std::vector<HostText> hosts;
    std::vector<RuleText> rules;
    ApprovalText approval;
    std::vector<BudgetText> budgets;
};

/// Reads a parsed tree; every mistake goes to `diagnostics`. The value is meaningful when none was added.
[[nodiscard]] ProfileText read_profile_tree(const TomlValue& tree, std::uint32_t source, Diagnostics& diagnostics);

struct Profile::Written {
    std::string file_name;
    std::string sha256;        ///< hex, of the text
    Diagnostics sources;       ///< knows the text; no mistakes
    std::uint32_t source = 0;
    TomlValue tree;            ///< overrides are merged into a copy
    ProfileText text;
};

/// Adds the overrides' flags to `diagnostics` and merges their settings into `tree`.
void merge_overrides(const Overrides& overrides, TomlValue& tree, Diagnostics& diagnostics);

/// The overrides as they are recorded: values of environment variables left out, since they may be secret.
[[nodiscard]] std::vector<std::string> recorded_overrides(const Overrides& overrides);

/// `--mount SRC:DST[:ro]` with the place of its flag.
struct MountText {
    Place at;
    std::string source;
    std::string target;
    bool writable = true;
};
[[nodiscard]] std::vector<MountText> read_mounts(const Overrides& overrides, Diagnostics& diagnostics);

}  // namespace sanctum::profiles
