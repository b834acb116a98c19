// SPDX-License-Identifier: Apache-2.0
// The body of a request to an OAuth endpoint: application/x-www-form-urlencoded (WHATWG URL, 5.2; RFC 6749 appendix B).
#pragma once

#include "base/secret.hpp"

#include <string>
#include <string_view>

namespace sanctum::vault {

/// Collects parameters, some of which are secrets; wiped with what it wrote.
class Form {
public:
    Form() = default;
    Form(Form&& other) noexcept;
    Form& operator=(Form&& other) noexcept;
    ~Form();

    /// Adds `name=value`, both encoded; a space is `%20`.
    void add(std::string_view name, std::string_view value);
    /// The same when `value` is not empty.
    void add_if(std::string_view name, std::string_view value) {
        if (!value.empty()) add(name, value);
    }
    /// All of it so far, as a body.
    [[nodiscard]] Secret body() const { return Secret(text_); }
    /// A second form with the same parameters.
    [[nodiscard]] Form duplicate() const;

private:
    void append(char byte);
    std::string text_;
};

}  // namespace sanctum::vault
