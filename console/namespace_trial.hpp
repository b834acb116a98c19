// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "console/machine_facts.hpp"

namespace sanctum::console {

/// Makes the namespaces of a mission in a child that then ends: the only honest test of what this machine allows.
/// Changes nothing outside of that child.
[[nodiscard]] NamespaceTrial try_namespaces();

}  // namespace sanctum::console
