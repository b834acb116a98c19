// SPDX-License-Identifier: Apache-2.0
// What a child mission's launcher is told about its parent, in a sealed memfd.
#pragma once

#include "profiles/schema/mission.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sanctum::launcher {

struct ParentFile {
    profiles::Mission mission;
    std::int64_t ends_boot_ms = 0;  ///< CLOCK_BOOTTIME of its hard end
    std::string configuration;      ///< the operator's, which holds for the child too
    /// What its sandbox covers; the child's covers the same, so that nothing is searched where an agent lives.
    std::vector<std::string> runs_later, sockets, secrets;
    std::map<std::string, std::string> real_paths;  ///< of its granted places
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        archive("ends_boot_ms", self.ends_boot_ms);
        archive("configuration", self.configuration);
        archive("runs_later", self.runs_later);
        archive("sockets", self.sockets);
        archive("secrets", self.secrets);
        archive("real_paths", self.real_paths);
    }
};

}  // namespace sanctum::launcher
