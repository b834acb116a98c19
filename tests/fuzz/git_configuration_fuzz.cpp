// SPDX-License-Identifier: Apache-2.0
// git's configuration as an agent may leave it: what it held before, a line of dashes, what it holds now. No crash,
// nothing is new beside itself, and what is taken out is gone.
#include "base/runs_later/git_configuration.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sanctum::runs_later;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t border = bytes.find("\n---\n");
    const std::string_view before = border == std::string_view::npos ? "" : bytes.substr(0, border);
    const std::string_view after = border == std::string_view::npos ? bytes : bytes.substr(border + 5);

    const auto variables = parse_git_configuration(after);
    if (!variables.has_value()) return 0;
    for (const GitVariable& variable : *variables) require(variable.begin < variable.end && variable.end <= size);
    const auto beside_itself = new_executing_variables(after, after);
    require(beside_itself.has_value() && beside_itself->empty());

    const auto cleaned = without_new_executing_variables(before, after);
    if (!cleaned.has_value()) return 0;
    const auto left = new_executing_variables(before, *cleaned);
    require(left.has_value() && left->empty());
    return 0;
}
