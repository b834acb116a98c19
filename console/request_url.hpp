// SPDX-License-Identifier: Apache-2.0
// METHOD and URL, as a person types them, into the request that the interceptor would see; as strict as it is.
#pragma once

#include "base/result.hpp"
#include "profiles/policy/decide.hpp"

#include <string>
#include <string_view>

namespace sanctum::console {

/// `GET` and `https://api.github.com/repos/x/y?z=1` → Request. Errors: Protocol, with what the interceptor would say
/// when it answers `request_invalid`.
[[nodiscard]] Result<profiles::Request> parse_request(std::string_view method, std::string_view url);

}  // namespace sanctum::console
