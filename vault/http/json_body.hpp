// SPDX-License-Identifier: Apache-2.0
// The body of a request in JSON, written member by member. Pure.
#pragma once

#include "base/secret.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sanctum::vault {

/// A JSON string, quotes included.
[[nodiscard]] std::string json_text(std::string_view text);
/// A JSON list of strings.
[[nodiscard]] std::string json_list(const std::vector<std::string>& texts);

/// One object; its values may be secrets, so that it is wiped.
class JsonBody {
public:
    JsonBody() = default;
    JsonBody(const JsonBody&) = delete;
    JsonBody& operator=(const JsonBody&) = delete;
    ~JsonBody() { wipe(text_); }

    /// A member that is a string.
    void text(std::string_view name, std::string_view value);
    /// A member that is JSON already: a number, a word, a list, an object.
    void json(std::string_view name, std::string_view value);
    /// The whole object. To be called once, as the last.
    [[nodiscard]] Secret take();

private:
    void begin(std::string_view name, std::size_t bytes);
    std::string text_ = "{";
};

}  // namespace sanctum::vault
