// SPDX-License-Identifier: Apache-2.0
// What a person is asked to consent to, and what came of it: the part that both flows of `sanctum connect` share.
#pragma once

#include "base/result.hpp"
#include "vault/http/http_client.hpp"
#include "vault/oauth/authorization_details.hpp"
#include "vault/oauth/form.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

/// Scopes in the provider's words, sorted; the two others are empty where the account does not name them.
struct ConsentQuestion {
    std::vector<std::string> scopes;
    std::string audience;
    std::string resource;  ///< RFC 8707
    std::vector<DetailMembers> details{};  ///< RFC 9396
};

/// Adds `scope`, `audience`, `resource` and `authorization_details`.
void add_question(Form& form, const ConsentQuestion& question);

/// How the scopes that came differ from those that were asked. `openid` and `offline_access` are requests for tokens
/// and no permissions; providers leave them out of the answer or not.
struct ScopeDifference {
    std::vector<std::string> missing;
    std::vector<std::string> beyond;
};
/// Both sorted.
[[nodiscard]] ScopeDifference compare_scopes(const std::vector<std::string>& asked,
                                             const std::vector<std::string>& received);

/// Denied, with the provider's reason and the setting to look at. `error`: of the provider (RFC 6749 4.1.2.1 and 5.2,
/// RFC 8628 3.5); `description`: its own words, printable; `provider`: `provider corp`.
[[nodiscard]] Error consent_refusal(const std::string& provider, const std::string& client_id,
                                    const std::string& error, const std::string& description);

/// The same for an answer that names an error; absent: it names none.
[[nodiscard]] std::optional<Error> refusal_in(const HttpResponse& response, const std::string& provider,
                                              const std::string& client_id);

}  // namespace sanctum::vault
