// SPDX-License-Identifier: Apache-2.0
// From a CLI11 parser to plain data, so that completions and manual pages show exactly what is parsed.
#pragma once

#include "base/command_line/command_facts.hpp"

namespace CLI {
class App;
}

namespace sanctum {

/// What `app` accepts, its commands included; hidden ones (an empty group) are left out.
[[nodiscard]] CommandFacts describe_command_line(const CLI::App& app);

}  // namespace sanctum
