// SPDX-License-Identifier: Apache-2.0
// A catalog entry as written, checked: what compile_entry lays out. Internal.
#pragma once

#include "base/result.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::profiles {

struct EndpointText {
    std::string name;
    std::vector<std::string> hosts;
    EndpointKind kind = EndpointKind::Http;
    AuthForm form = AuthForm::None;
    std::string form_name;
    std::string username;
    std::vector<std::string> strip;
    std::string repo_suffix;
    std::vector<std::string> amz_headers;
};

struct OperationText {
    std::string id;
    std::string endpoint;
    std::string method;  ///< empty for git operations
    std::string path;
    std::optional<std::vector<std::vector<std::string>>> any_of;
    std::map<std::string, std::string> resources;
    std::vector<std::string> query;  ///< parameters that resources name, sorted
    bool bounds_query = false;       ///< only requests with these parameters are this operation:
    std::vector<std::string> needs;  ///< all of them, sorted
    std::vector<std::string> takes;  ///< any of them, sorted
    Risk risk = Risk::High;
    std::string says;
    std::vector<std::string> redact;
};

struct EntryText {
    std::string name;
    std::string placeholder;
    std::vector<EndpointText> endpoints;
    std::vector<OperationText> operations;
    std::map<std::string, std::vector<std::string>> implies;
    std::optional<Login> login;
    std::vector<std::string> scopes;          ///< sorted
    std::vector<std::string> resource_names;  ///< sorted
};

/// Errors: InvalidProfile with place, caret and hint.
[[nodiscard]] Result<EntryText> read_entry(const std::string& file_name, std::string_view toml);

}  // namespace sanctum::profiles
