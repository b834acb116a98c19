// SPDX-License-Identifier: Apache-2.0
// What the preparations of a mission and of a child mission have in common. Internal.
#pragma once

#include "launcher/run/preparation.hpp"

#include <map>
#include <string>
#include <string_view>

namespace sanctum::launcher {

/// A variable's value; empty when it is not set.
[[nodiscard]] std::string value_or_empty(const std::map<std::string, std::string>& environment, const char* name);

/// realpath(3); `what` names the place in the error. Errors: NotFound, NotPermitted, Io.
[[nodiscard]] Result<std::string> real_path(const std::string& path, std::string_view what);

/// The caller's home folder: HOME where it is absolute, else the user's.
[[nodiscard]] std::string home_of(const std::map<std::string, std::string>& environment);

/// The program that is told of signed heads, without symbolic links; empty when none is configured. Errors: NotFound,
/// NotPermitted (others, or the agent, could write it).
[[nodiscard]] Result<std::string> find_witness(const PreparedMission& prepared);

/// Adds to the facts what the operator relies on: configuration, key, programs and secret files of the mission's
/// accounts. None of them may lie where the agent reads or writes.
void gather_operators_files(PreparedMission& prepared);

}  // namespace sanctum::launcher
