// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/consent_question.hpp"

#include "vault/http/json_answer.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

namespace sanctum::vault {
namespace {

struct RefusalRemedy {
    std::string_view error;
    std::string_view remedy;
};

constexpr std::string_view kRegisterRedirect =
    "register the redirect address http://127.0.0.1/callback for the client there, with any port (RFC 8252 7.3), or "
    "exactly the one of --port";

constexpr std::array<RefusalRemedy, 10> kRefusalRemedies = {{
    {"access_denied", "whoever was asked said no, or the provider does not let this user have it: assign the user to "
                      "the client there, or have an administrator consent"},
    {"consent_required", "have an administrator of the provider consent for this client"},
    {"invalid_scope", "allow these scopes for the client there, or ask for others with --scopes"},
    {"unauthorized_client", "switch this flow's grant type on for the client there, or take the other --flow"},
    {"unsupported_grant_type", "switch this flow's grant type on for the client there, or take the other --flow"},
    {"invalid_client", "check client_id and the client's secret or key"},
    {"invalid_request", kRegisterRedirect},
    {"invalid_redirect_uri", kRegisterRedirect},
    {"invalid_target", "check `audience` and `resource` of the account, and that the client may have them there"},
    {"expired_token", "nobody consented in time; begin again"},
}};

bool is_no_permission(const std::string& scope) { return scope == "openid" || scope == "offline_access"; }

std::vector<std::string> without(const std::vector<std::string>& all, const std::vector<std::string>& taken) {
    std::vector<std::string> left;
    std::set_difference(all.begin(), all.end(), taken.begin(), taken.end(), std::back_inserter(left));
    std::erase_if(left, is_no_permission);
    return left;
}

}  // namespace

void add_question(Form& form, const ConsentQuestion& question) {
    form.add_if("scope", join_scopes(question.scopes));
    form.add_if("audience", question.audience);
    form.add_if("resource", question.resource);
    if (!question.details.empty()) form.add("authorization_details", details_json(question.details));
}

ScopeDifference compare_scopes(const std::vector<std::string>& asked, const std::vector<std::string>& received) {
    return {without(asked, received), without(received, asked)};
}

Error consent_refusal(const std::string& provider, const std::string& client_id, const std::string& error,
                      const std::string& description) {
    std::string what = provider + " did not give the consent: " + error;
    if (!description.empty()) what += " (\"" + description + "\")";
    const auto known = std::find_if(kRefusalRemedies.begin(), kRefusalRemedies.end(),
                                    [&](const RefusalRemedy& row) { return row.error == error; });
    if (known != kRefusalRemedies.end()) what += "; " + std::string(known->remedy);
    return {Errc::Denied, what + " (client " + client_id + "); nothing was stored"};
}

std::optional<Error> refusal_in(const HttpResponse& response, const std::string& provider,
                                const std::string& client_id) {
    const Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json || !json->has("error")) return std::nullopt;
    const std::string name = json->text("error");
    return consent_refusal(provider, client_id, is_error_name(name) ? name : "an error without a proper name",
                           provider_words(json->text("error_description")));
}

}  // namespace sanctum::vault
