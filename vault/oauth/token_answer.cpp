// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/token_answer.hpp"

#include "base/limits.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/retry.hpp"

#include <algorithm>
#include <array>

namespace sanctum::vault {
namespace {

struct NamedError {
    std::string_view name;
    SourceFault fault;
    std::string_view remedy;
};

// RFC 6749 5.2, RFC 8693 2.2.2, RFC 7009 2.2.1, Auth0's own, and GitHub's.
constexpr std::array<NamedError, 20> kErrors = {{
    {"federated_connection_refresh_token_not_found", SourceFault::ConsentRequired,
     "the user never connected this account (a login alone does not), or the connection's name is another"},
    {"federated_connection_refresh_token_flow_failed", SourceFault::ConsentLost,
     "the provider no longer honours what the user connected: connect the account again"},
    {"invalid_client", SourceFault::Misconfigured, "check client_id and the client's secret or key"},
    {"unauthorized_client", SourceFault::Misconfigured, "enable this grant type for the client at the provider"},
    {"unsupported_grant_type", SourceFault::Misconfigured, "enable this grant type for the client at the provider"},
    {"access_denied", SourceFault::Misconfigured, "enable the grant type and the connection for this client"},
    {"mfa_required", SourceFault::Misconfigured, "the tenant's MFA policy must be `Never`; require MFA in an Action"},
    {"invalid_request", SourceFault::Misconfigured, "the provider does not take this form of request"},
    {"invalid_authorization_details", SourceFault::ScopeUnavailable,
     "check `authorization_details` of the account against what the provider knows"},
    {"invalid_target", SourceFault::Misconfigured, "check `audience` and `resource` of the account"},
    {"invalid_dpop_proof", SourceFault::Misconfigured,
     "write dpop = true at the provider, or switch DPoP off for this client"},
    {"use_dpop_nonce", SourceFault::Misconfigured,
     "write dpop = true at the provider, or switch DPoP off for this client"},
    {"invalid_scope", SourceFault::ScopeUnavailable, "the account was not connected with these scopes"},
    {"interaction_required", SourceFault::ConsentRequired, "the user must consent at the provider"},
    {"consent_required", SourceFault::ConsentRequired, "the user must consent at the provider"},
    {"bad_refresh_token", SourceFault::ConsentLost,
     "the user's refresh token was used up or has run out: connect the account again"},
    {"incorrect_client_credentials", SourceFault::Misconfigured, "check client_id and the client's secret"},
    {"login_required", SourceFault::SubjectExpired, "the owner must log in again"},
    {"temporarily_unavailable", SourceFault::Unavailable, "try again later"},
    {"server_error", SourceFault::Unavailable, "try again later"},
}};

std::string who(const TokenQuestion& question) {
    std::string text = "account " + question.account + ": " + question.provider;
    if (!question.connection.empty()) text += ", connection " + question.connection;
    return text;
}

std::string shown(std::string_view name) {
    return is_error_name(name) ? std::string(name) : std::string("an error without a proper name");
}

SourceFailure failure(const TokenQuestion& question, SourceFault fault, const std::string& what) {
    return {fault, who(question) + ": " + what, Milliseconds(0)};
}

// What a person types; only where it helps.
SourceFailure with_command(SourceFailure failure, const TokenQuestion& question) {
    const bool is_scope = failure.fault == SourceFault::ScopeUnavailable;
    const bool is_consent = failure.fault == SourceFault::ConsentRequired ||
                            failure.fault == SourceFault::ConsentLost || failure.fault == SourceFault::SubjectExpired;
    if (!question.can_connect || (!is_scope && !is_consent)) return failure;
    failure.what += " (sanctum connect " + question.account + (is_scope ? " --scopes …)" : ")");
    return failure;
}

SourceFailure named_failure(const TokenQuestion& question, std::string_view name, int status) {
    if (name == "invalid_grant" && question.invalid_grant == SourceFault::Misconfigured) {
        return failure(question, question.invalid_grant,
                       "invalid_grant: the key is not (any more) one of this account, or the account is disabled");
    }
    if (name == "invalid_grant") {
        const bool is_subject = question.invalid_grant == SourceFault::SubjectExpired;
        return failure(question, question.invalid_grant,
                       is_subject ? "invalid_grant: the owner's token is dead; log in again and store the new one"
                                  : "invalid_grant: the consent was revoked or has run out; connect the account again");
    }
    for (const NamedError& known : kErrors) {
        if (known.name != name) continue;
        return failure(question, known.fault, std::string(name) + ": " + std::string(known.remedy));
    }
    const auto fault = status == 401 || status == 403 ? SourceFault::Misconfigured : SourceFault::Failed;
    return failure(question, fault, shown(name) + " (status " + std::to_string(status) + ")");
}

SourceFailure failure_of_status(const TokenQuestion& question, const HttpResponse& response) {
    const std::string status = "status " + std::to_string(response.status);
    if (response.status == 502 || response.status == 504) {
        return failure(question, SourceFault::NoAnswer, status + ": a gateway lost the answer");
    }
    if (response.status >= 500) return failure(question, SourceFault::Unavailable, status);
    if (response.status == 404) {
        return failure(question, SourceFault::Misconfigured, status + ": no token endpoint; check the address");
    }
    if (response.status >= 300 && response.status < 400) {
        return failure(question, SourceFault::Misconfigured, status + ": a redirect; check the address");
    }
    return failure(question, SourceFault::Protocol, status + " without an error in JSON");
}

// RFC 6749 5.1: in any case of letters. `known` in small ones.
bool is_type(std::string_view type, std::string_view known) {
    return std::equal(type.begin(), type.end(), known.begin(), known.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
    });
}

// Empty, or why a token of this type cannot be put on requests.
std::string type_problem(std::string_view type, bool is_bound) {
    if (is_bound && is_type(type, "dpop")) return {};
    if (is_bound) {
        return "the token is not bound to our key; bind this client's tokens (dpop_bound_access_tokens), or remove "
               "dpop = true";
    }
    if (type.empty() || is_type(type, "bearer")) return {};
    if (is_type(type, "dpop")) return "the token is bound to a key; write dpop = true at the provider";
    return "the token is of type " + shown(type) + ", which cannot be put on a request";
}

}  // namespace

std::vector<std::string> split_scopes(std::string_view text) {
    std::vector<std::string> scopes;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find_first_of(" ,", begin), text.size());
        if (end > begin) scopes.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    std::sort(scopes.begin(), scopes.end());
    scopes.erase(std::unique(scopes.begin(), scopes.end()), scopes.end());
    return scopes;
}

bool is_error_name(std::string_view name) {
    return !name.empty() && name.size() <= kProviderErrorNameMax && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

std::string provider_words(std::string_view text) {
    std::string words(text.substr(0, kProviderWordsMax));
    for (char& c : words) {
        if (c < 0x20 || c > 0x7e) c = '?';
    }
    return words;
}

Milliseconds retry_after_of(const HttpResponse& response, WallTime now) {
    return wait_asked_for(response, now).value_or(Milliseconds(0));
}

SourceFailure failure_of(const Error& error, const TokenQuestion& question) {
    switch (error.code) {
        case Errc::Timeout:
        case Errc::Cancelled: return failure(question, SourceFault::NoAnswer, error.what);
        case Errc::Protocol:
        case Errc::Limit: return that_may_be_out(failure(question, SourceFault::Protocol, error.what));
        case Errc::Denied:
        case Errc::InvalidProfile: return failure(question, SourceFault::Misconfigured, error.what);
        default: return failure(question, SourceFault::Unavailable, error.what);
    }
}

std::variant<TokenAnswer, SourceFailure> read_token_answer(const HttpResponse& response,
                                                           const TokenQuestion& question) {
    if (response.status == 429) {
        return failure(question, SourceFault::RateLimited, "status 429: asked too often");
    }
    Result<JsonAnswer> parsed = JsonAnswer::parse(response);
    if (!parsed) {
        if (response.status != 200) return failure_of_status(question, response);
        return that_may_be_out(failure(question, SourceFault::Protocol, parsed.error().what));
    }
    JsonAnswer& json = *parsed;
    if (json.has("error")) {
        // Google's own: an organisation that wants its people to sign in again every so many hours.
        const std::string subtype = json.text("error_subtype");
        if (subtype == "invalid_rapt" || subtype == "rapt_required") {
            return failure(question, SourceFault::SubjectExpired,
                           subtype + ": the organisation wants the user to sign in again; store the new refresh token");
        }
        const std::string name = json.text("error");
        SourceFailure refused = with_command(named_failure(question, name, response.status), question);
        if (is_error_name(name)) refused.error = name;
        refused.description = provider_words(json.text("error_description"));
        return refused;
    }
    if (response.status != 200) return failure_of_status(question, response);
    TokenAnswer answer;
    answer.access_token = json.take_secret("access_token");
    if (answer.access_token.is_empty()) {
        return that_may_be_out(failure(question, SourceFault::Protocol, "the answer holds no access_token"));
    }
    answer.token_type = json.text("token_type");
    if (const std::string problem = type_problem(answer.token_type, question.is_bound); !problem.empty()) {
        const SourceFault fault = question.is_bound ? SourceFault::Misconfigured : SourceFault::Protocol;
        return that_may_be_out(failure(question, fault, problem));
    }
    if (json.has("expires_in")) {
        const std::optional<std::int64_t> seconds = json.number("expires_in");
        if (!seconds || *seconds < 0) {
            return that_may_be_out(failure(question, SourceFault::Protocol, "expires_in is no number"));
        }
        answer.expires_in = Milliseconds(std::min(*seconds, kProviderLifeSecondsMax) * 1000);
    }
    if (json.has("scope")) answer.scopes = split_scopes(json.text("scope"));
    answer.details = take_details(json);
    answer.refresh_token = json.take_secret("refresh_token");
    answer.id_token = json.take_secret("id_token");
    return answer;
}

}  // namespace sanctum::vault
