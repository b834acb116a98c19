// SPDX-License-Identifier: Apache-2.0
// What the kernel says of processes that name themselves, and of groups that others made: no crash, and no fact that is
// not in the text.
#include "base/limits.hpp"
#include "launcher/plan/cgroup_facts.hpp"
#include "launcher/watch/process_facts.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum;
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (const auto status = launcher::parse_status(text)) {
        require(status->thread_group >= 0 && status->parent >= 0 && status->name.size() <= kClaimTextBytesMax);
        require(text.find(status->name) != std::string::npos);
        require(status->name.find('\n') == std::string::npos);
        require(text.find(std::to_string(status->parent)) != std::string::npos);
    }
    for (const launcher::OwnGroup& group : launcher::parse_own_groups(text)) {
        require(text.find(group.path) != std::string::npos && group.path.find('\n') == std::string::npos);
        for (const std::string& controller : group.controllers) {
            require(controller.find_first_of(",\n") == std::string::npos);
        }
    }
    return 0;
}
