// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/message.hpp"

#include <algorithm>

namespace sanctum::interceptor {

const std::string* find_field(const Fields& fields, std::string_view name) {
    const auto is_it = [&](const Field& field) { return field.name == name; };
    const auto found = std::find_if(fields.begin(), fields.end(), is_it);
    return found == fields.end() ? nullptr : &found->value;
}

std::size_t remove_fields(Fields& fields, std::string_view name) {
    return std::erase_if(fields, [&](const Field& field) { return field.name == name; });
}

}  // namespace sanctum::interceptor
