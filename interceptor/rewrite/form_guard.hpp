// SPDX-License-Identifier: Apache-2.0
// FormGuard: the body of a form, watched on its way for a field that makes a server see another method than the one
// that was decided on (`_method`, which frameworks read from POSTed forms). Streaming: a body is never held for it.
#pragma once

#include "base/result.hpp"
#include "interceptor/http/message.hpp"
#include "profiles/schema/mission.hpp"

#include <string>
#include <string_view>

namespace sanctum::interceptor {

/// Whether servers take this name of a form's field or query parameter (escapes resolved) for the method.
[[nodiscard]] bool is_method_field(std::string_view name);

class FormGuard {
public:
    /// Watches nothing where no credential goes, or where the body is no form. Errors: Denied: a form that cannot be
    /// watched, since it is encoded, has more than one type or no plain boundary.
    [[nodiscard]] static Result<FormGuard> create(const RequestHead& head, const profiles::Endpoint* endpoint);

    /// False when `bytes` complete such a field: then none of them may leave, and the request stays unfinished.
    [[nodiscard]] bool passes(std::string_view bytes);

private:
    enum class Kind : std::uint8_t { None, Pairs, Parts };
    [[nodiscard]] bool passes_pairs(std::string_view bytes);
    [[nodiscard]] bool passes_parts(std::string_view bytes);
    void take_name_byte(char c);

    Kind kind_ = Kind::None;
    // Of `a=b&c=d`:
    std::string name_;         ///< of the field that is being read, no longer than what could match
    std::string escape_;       ///< the begin of a %XX
    bool is_in_value_ = false;
    bool is_past_name_ = false;  ///< behind a NUL
    // Of parts between delimiters:
    std::string delimiter_;
    std::string window_;
    bool is_in_part_head_ = false;
};

}  // namespace sanctum::interceptor
