// SPDX-License-Identifier: Apache-2.0
// base64url without padding (RFC 4648 5), as JOSE and PKCE write it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sanctum::vault {

[[nodiscard]] std::string base64url(std::string_view bytes);
/// The inverse; nullopt for anything else.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

}  // namespace sanctum::vault
