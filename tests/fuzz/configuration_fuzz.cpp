// SPDX-License-Identifier: Apache-2.0
// The operator's configuration: no crash, and a refusal names a place.
#include "profiles/schema/operator_config.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    // No file that the text may name is below this folder.
    const auto config = sanctum::profiles::read_operator_config("/nonexistent/config.toml", text);
    if (!config.has_value() && config.error().what.find("/nonexistent/config.toml") == std::string::npos) std::abort();
    return 0;
}
