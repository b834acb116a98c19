// SPDX-License-Identifier: Apache-2.0
// The body of a request to git-lfs's batch API, from which the operation is read: what is taken says download or
// upload, and says it once for every reader, whatever letters that one would take.
#include "interceptor/http/lfs_batch.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace {

bool is_operation(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    return name == "operation";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    const auto operation = sanctum::interceptor::read_lfs_operation(body);
    if (!operation) return 0;
    if (*operation != "download" && *operation != "upload") std::abort();
    const auto read = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
    if (!read.is_object()) std::abort();
    for (const auto& [name, value] : read.items()) {
        if (is_operation(name) && value != *operation) std::abort();
    }
    return 0;
}
