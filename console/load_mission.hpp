// SPDX-License-Identifier: Apache-2.0
// A profile on its way to a mission, as `check`, `explain` and `init` need it: the same steps a run takes.
#pragma once

#include "console/console.hpp"
#include "profiles/schema/resolve.hpp"
#include "profiles/schema/trust.hpp"

#include <string>

namespace sanctum::console {

struct LoadedMission {
    profiles::ProfileFile file;
    profiles::OperatorConfig config;
    profiles::CatalogSet catalog;
    profiles::Mission mission;
};

/// Reads, checks and resolves the profile that `word` names (a path, or a shipped or trusted profile's name).
/// Errors: NotFound, Io, InvalidProfile (diagnostics), Denied (above the operator's bounds).
[[nodiscard]] Result<LoadedMission> load_mission(const Console& console, const std::string& word);

/// The same for text that is not in a file yet.
[[nodiscard]] Result<LoadedMission> resolve_text(const Console& console, profiles::ProfileFile file);

/// `shipped`, `operator's own`, `trusted`, `changed since it was trusted`, `not trusted`.
[[nodiscard]] std::string trust_in_words(profiles::Trust trust);

}  // namespace sanctum::console
