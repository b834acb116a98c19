// SPDX-License-Identifier: Apache-2.0
// The command list of a git push: no crash, and more bytes never change an answer that was already given.
#include "interceptor/http/git_push_commands.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using sanctum::interceptor::read_push_commands;
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto whole = read_push_commands(body);
    const auto half = read_push_commands(body.substr(0, size / 2));
    if (!half.has_value()) {
        if (whole.has_value()) std::abort();
    } else if (half->has_value()) {
        if (!whole.has_value() || !whole->has_value()) std::abort();
        const auto& before = (*half)->updates;
        const auto& after = (*whole)->updates;
        if (after.size() != before.size() || (*whole)->capabilities != (*half)->capabilities) std::abort();
        for (std::size_t i = 0; i < before.size(); ++i) {
            if (after[i].name != before[i].name || after[i].new_id != before[i].new_id) std::abort();
        }
    }
    return 0;
}
