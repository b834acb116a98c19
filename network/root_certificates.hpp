// SPDX-License-Identifier: Apache-2.0
// Where this machine keeps the root certificates it trusts. Only fixed places are looked at, never the environment.
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace sanctum::network {

struct RootCertificates {
    std::string hashed_folder;  ///< looked up by subject hash at verification: nothing is parsed at start; or
    std::string bundle;         ///< one PEM file, where the machine has no hashed folder (144 roots: 17 ms)
    std::vector<std::string> readable;  ///< every folder or file that look-ups read, links followed
};

/// Looks at /etc/ssl/certs and its relatives on other distributions. Both places empty: only the operator's own
/// certificates will verify anything.
[[nodiscard]] RootCertificates find_root_certificates();

}  // namespace sanctum::network
