// SPDX-License-Identifier: Apache-2.0
#include "console/load_mission.hpp"

namespace sanctum::console {
namespace {
// Resolving needs an id; a profile that is only looked at has no mission.
constexpr const char* kNoMission = "00000000000000000000000000";
}  // namespace

Result<LoadedMission> resolve_text(const Console& console, profiles::ProfileFile file) {
    SANCTUM_TRY(const profiles::Profile profile, profiles::load_profile(file.path, file.text));
    SANCTUM_TRY(profiles::CatalogSet catalog, profiles::load_catalog(profile, console.places));
    SANCTUM_TRY(profiles::OperatorConfig config,
                profiles::load_operator_config(console.places.configuration, profiles::Missing::IsEmpty));
    const profiles::Caller caller{console.working_directory, console.variable("HOME"), console.environment,
                                  console.places.state};
    SANCTUM_TRY(profiles::Mission mission,
                profiles::resolve_mission(profile, config, catalog, profiles::Overrides{}, caller, kNoMission));
    return LoadedMission{std::move(file), std::move(config), std::move(catalog), std::move(mission)};
}

Result<LoadedMission> load_mission(const Console& console, const std::string& word) {
    SANCTUM_TRY(const std::string path,
                profiles::find_profile(word, console.variable("SANCTUM_PROFILE"), console.places));
    SANCTUM_TRY(profiles::ProfileFile file, profiles::read_profile_file(path));
    return resolve_text(console, std::move(file));
}

std::string trust_in_words(profiles::Trust trust) {
    switch (trust) {
        case profiles::Trust::Shipped: return "shipped";
        case profiles::Trust::Operators: return "operator's own";
        case profiles::Trust::Pinned: return "trusted";
        case profiles::Trust::Changed: return "changed since it was trusted";
        case profiles::Trust::Unknown: return "not trusted";
    }
    return "not trusted";
}

}  // namespace sanctum::console
