// SPDX-License-Identifier: Apache-2.0
// login_request: what an agent asks a token endpoint for (RFC 6749 4.1.3 and 6). The vault asks in its place, so that
// only what is understood here and named by the catalog goes on; the rest of the request stays here.
#pragma once

#include "base/result.hpp"
#include "interceptor/http/message.hpp"
#include "profiles/schema/mission.hpp"

#include <map>
#include <string>
#include <string_view>

namespace sanctum::interceptor {

inline constexpr std::string_view kCodeGrant = "authorization_code";
inline constexpr std::string_view kRefreshGrant = "refresh_token";

struct LoginRequest {
    std::string grant;  ///< kCodeGrant or kRefreshGrant
    /// Those of `login.sends`, as text. What stands for a token in a refresh is not among them: a placeholder proves
    /// nothing, and anything else would be a token of somebody else's.
    std::map<std::string, std::string> members;
};

/// Reads a form or a JSON object. Errors: Protocol (neither by its content type or its text; encoded; a member twice);
/// Denied (another grant than the two, another client than the catalog's), with a sentence for the agent.
[[nodiscard]] Result<LoginRequest> read_login_request(const RequestHead& head, std::string_view body,
                                                      const profiles::Login& login);

}  // namespace sanctum::interceptor
