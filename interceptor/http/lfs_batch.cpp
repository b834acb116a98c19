// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/lfs_batch.hpp"

#include "base/wire/archive.hpp"
#include "interceptor/http/grammar.hpp"

#include <optional>

namespace sanctum::interceptor {
namespace {

constexpr std::string_view kOperation = "operation";

Error bad_batch(std::string what) { return Error{Errc::Protocol, "git lfs: " + std::move(what)}; }

}  // namespace

Result<std::string> read_lfs_operation(std::string_view body) {
    const Result<wire::JsonText> json = wire::JsonText::parse(body);
    if (!json) return bad_batch("the batch is no JSON that is read in one way only");
    const auto members = json->root().members();
    if (!members) return bad_batch("the batch is no JSON object");
    std::optional<std::string> operation;
    for (const auto& [name, value] : *members) {
        if (!equals_ignoring_case(name, kOperation)) continue;
        // SECURITY: servers written in Go take `Operation` as well, and the last of the two.
        if (name != kOperation) return bad_batch("the batch has a member `operation` in other letters");
        operation = value.text();
    }
    if (!operation || (*operation != "download" && *operation != "upload")) {
        return bad_batch("the batch's operation is neither download nor upload");
    }
    return *operation;
}

}  // namespace sanctum::interceptor
