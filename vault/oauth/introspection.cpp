// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/introspection.hpp"

#include "vault/http/json_answer.hpp"

namespace sanctum::vault {

std::variant<Introspection, SourceFailure> read_introspection(const HttpResponse& response,
                                                              const TokenQuestion& question) {
    const auto failure = [&](SourceFault fault, const std::string& what) {
        const std::string place = "account " + question.account + ": " + question.provider;
        return SourceFailure{fault, place + ": introspection: " + what, Milliseconds(0)};
    };
    const std::string status = "status " + std::to_string(response.status);
    if (response.status == 429) return failure(SourceFault::RateLimited, status + ": asked too often");
    if (response.status >= 500) return failure(SourceFault::Unavailable, status);
    if (response.status != 200) {
        return failure(SourceFault::Misconfigured, status + "; let this client introspect its tokens, or remove "
                                                            "`introspection_endpoint`");
    }
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return failure(SourceFault::Protocol, json.error().what);
    const std::optional<bool> is_active = json->boolean("active");
    if (!is_active) return failure(SourceFault::Protocol, "the answer does not say whether the token is active");
    if (!*is_active) return failure(question.invalid_grant, "the provider does not honour the token that it gave");
    Introspection found;
    if (json->has("scope")) found.scopes = split_scopes(json->text("scope"));
    if (const auto seconds = json->number("exp"); seconds && *seconds > 0 && *seconds < INT64_MAX / 1000) {
        found.expires = WallTime{*seconds * 1000};
    }
    found.details = take_details(*json);
    found.binding = take_binding(*json);
    return found;
}

}  // namespace sanctum::vault
