// SPDX-License-Identifier: Apache-2.0
// Variables of the caller that are credentials (source `environment`): taken out of this process before any other one
// exists, so that none inherits them, and handed to the vault alone.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"

#include <map>
#include <string>

namespace sanctum::launcher {

using SecretVariables = std::map<std::string, Secret>;

/// Takes the variables of all accounts out of `environment` and of this process's own, where they are overwritten.
[[nodiscard]] SecretVariables take_secret_variables(const profiles::OperatorConfig& config,
                                                    std::map<std::string, std::string>& environment);

/// Those that the mission's accounts need, as a sealed memfd of `NAME=value` with a NUL behind each, as in environ(7);
/// closed when it needs none. Errors: NotFound (one is not set, or empty), Io.
[[nodiscard]] Result<UniqueFd> seal_secret_variables(const SecretVariables& variables, const profiles::Mission& mission,
                                                     const profiles::OperatorConfig& config);

}  // namespace sanctum::launcher
