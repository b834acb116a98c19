// SPDX-License-Identifier: Apache-2.0
// TOML text → Profile → Mission: the two steps every program takes, and the trust that stands before them.
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "profiles/catalog/catalog.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

/// A profile as written, with the position of every key. Incomplete by nature; hidden because it knows TOML.
class Profile {
public:
    Profile(Profile&&) noexcept;
    Profile& operator=(Profile&&) noexcept;
    ~Profile();
    struct Written;
    explicit Profile(std::unique_ptr<Written> written);
    [[nodiscard]] const Written& written() const { return *written_; }

private:
    std::unique_ptr<Written> written_;
};

/// What the caller changes on top of the file; each is recorded in Mission::overrides.
struct Overrides {
    std::vector<std::string> settings;     ///< `-c key=value`, TOML values, dotted keys
    std::vector<std::string> environment;  ///< `-e VAR` or `-e VAR=value`
    std::vector<std::string> mounts;       ///< `--mount SRC:DST[:ro]`
    std::string ttl;                       ///< `--ttl 30m`
    std::string name;                      ///< `--name nightly`
};

/// Facts of the caller that resolving needs, so that it stays pure.
struct Caller {
    std::string working_directory;
    std::string home;
    std::map<std::string, std::string> environment;
    std::string state_folder;  ///< kept homes lie below it
};

/// Parses text and checks grammar: unknown keys, types, words. Errors: InvalidProfile; the text of the error is one
/// or more diagnostics `file:line:col: error: …`, source line, caret, hint.
[[nodiscard]] Result<Profile> load_profile(const std::string& file_name, std::string_view toml);

/// The catalog entries that a profile names, shipped or the operator's own (which may not replace a shipped one).
/// Errors: InvalidProfile (unknown entry, with the nearest name), Io.
[[nodiscard]] Result<CatalogSet> load_catalog(const Profile& profile, const Places& places);

/// One entry by its name, shipped or the operator's own. Errors: NotFound, InvalidProfile, Io.
[[nodiscard]] Result<CompiledEntry> load_entry(const std::string& name, const Places& places);

/// The complete mission, or every mistake that stands between. Errors: InvalidProfile, Denied (above the operator's
/// bounds). `id`: the mission's ULID.
[[nodiscard]] Result<Mission> resolve_mission(const Profile& profile, const OperatorConfig& config,
                                              const CatalogSet& catalog, const Overrides& overrides,
                                              const Caller& caller, const std::string& id);

/// The vault's part of the configuration for one mission: only the accounts its services use.
[[nodiscard]] VaultConfig vault_config_for(const Mission& mission, const OperatorConfig& config, const Places& places);

/// The whole plan in words, for `explain FILE` and `--dry-run`.
[[nodiscard]] std::string explain_mission(const Mission& mission);

/// One line: what could go wrong if the agent were hostile (`check` prints it).
[[nodiscard]] std::string exposure_line(const Mission& mission, const CatalogSet& catalog);

/// JSON of `/run/sanctum/policy.json`, schema `sanctum.policy/1`.
[[nodiscard]] std::string policy_json(const Mission& mission);

/// The JSON Schema of profiles, for editors.
[[nodiscard]] std::string profile_json_schema();

}  // namespace sanctum::profiles
