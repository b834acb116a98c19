// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/lease_lines.hpp"

namespace sanctum::launcher {
namespace {

struct LeaseEnd {
    std::string mission;
    wire::LeaseChanged lease;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        wire::LeaseChanged::fields(self.lease, archive);
    }
};

}  // namespace

std::vector<wire::LeaseChanged> lease_ends_in(std::string_view lines, const std::string& mission) {
    std::vector<wire::LeaseChanged> leases;
    while (!lines.empty()) {
        const std::size_t end = lines.find('\n');
        Result<LeaseEnd> line = wire::from_json<LeaseEnd>(lines.substr(0, end));
        if (line && line->mission == mission) leases.push_back(std::move(line->lease));
        lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    }
    return leases;
}

}  // namespace sanctum::launcher
