// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/aws_sts.hpp"

#include "base/limits.hpp"
#include "profiles/schema/diagnostics.hpp"
#include "vault/http/http_date.hpp"
#include "vault/http/request_bytes.hpp"
#include "vault/oauth/form.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"

#include <algorithm>
#include <array>

namespace sanctum::vault {
namespace {

constexpr std::string_view kService = "sts";
constexpr std::string_view kVersion = "2011-06-15";
constexpr std::string_view kContentType = "application/x-www-form-urlencoded; charset=utf-8";
// What every role allows; a longer session would need a setting of the role, and no lease lives longer.
constexpr std::int64_t kSessionSecondsMin = 900;
constexpr std::int64_t kSessionSecondsMax = 3600;
constexpr std::size_t kMessageCharsMax = 300;

// Where the answer holds what.
constexpr std::string_view kAccessKey = "AssumeRoleResponse/AssumeRoleResult/Credentials/AccessKeyId";
constexpr std::string_view kSecretKey = "AssumeRoleResponse/AssumeRoleResult/Credentials/SecretAccessKey";
constexpr std::string_view kSessionToken = "AssumeRoleResponse/AssumeRoleResult/Credentials/SessionToken";
constexpr std::string_view kExpiration = "AssumeRoleResponse/AssumeRoleResult/Credentials/Expiration";
constexpr std::string_view kPackedSize = "AssumeRoleResponse/AssumeRoleResult/PackedPolicySize";

// STS's error codes, and what the operator can do about each.
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
struct StsError {
    std::string_view code;
    SourceFault fault;
    std::string_view remedy;
};
constexpr std::array<StsError, 18> kStsErrors{{
    {"AccessDenied", SourceFault::Misconfigured,
     "allow sts:AssumeRole on the role to the user whose key is in `item`, and the user in the role's trust policy "
     "(with its external id, where it asks for one)"},
    {"InvalidClientTokenId", SourceFault::Misconfigured,
     "the access key in `item` is unknown, inactive or deleted, or the region is not switched on for the account"},
    {"SignatureDoesNotMatch", SourceFault::Misconfigured,
     "the secret key in `item` does not belong to its access key, or `region` is not the one of the address"},
    {"ExpiredToken", SourceFault::SubjectExpired, "put live keys into `item`"},
    {"ExpiredTokenException", SourceFault::SubjectExpired, "put live keys into `item`"},
    {"RequestExpired", SourceFault::ClockSkew, "set this machine's clock"},
    {"RegionDisabledException", SourceFault::Misconfigured,
     "STS is switched off in this region; switch it on in IAM's account settings, or name another `region`"},
    {"PackedPolicyTooLarge", SourceFault::Misconfigured, "bound fewer resources in the profile"},
    {"MalformedPolicyDocument", SourceFault::Misconfigured, "AWS does not take the session policy"},
    {"ValidationError", SourceFault::Misconfigured, "check role and external_id"},
    {"InvalidParameterValue", SourceFault::Misconfigured, "check role and external_id"},
    {"OptInRequired", SourceFault::Misconfigured, "the account is not signed up for STS in this region"},
    {"Throttling", SourceFault::RateLimited, "asked too often"},
    {"ThrottlingException", SourceFault::RateLimited, "asked too often"},
    {"RequestLimitExceeded", SourceFault::RateLimited, "asked too often"},
    {"ServiceUnavailable", SourceFault::Unavailable, "STS is not available"},
    {"InternalFailure", SourceFault::NoAnswer, "STS failed"},
    {"InternalError", SourceFault::NoAnswer, "STS failed"},
}};

// "Signature expired: …", "Signature not yet current: …": the same code as for a wrong key.
bool is_about_the_clock(const std::string& code, const std::string& message) {
    return code == "SignatureDoesNotMatch" &&
           (message.find("expired") != std::string::npos || message.find("not yet current") != std::string::npos);
}

std::string partition_of(const std::string& role) {
    const std::size_t begin = role.find(':') + 1;
    return role.substr(begin, role.find(':', begin) - begin);
}

}  // namespace

Capabilities AwsStsSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = true;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Expires;
    capabilities.life_max = Milliseconds(kSessionSecondsMax * 1000);
    return capabilities;
}

SourceFailure AwsStsSource::failure(SourceFault fault, const std::string& what) const {
    return {fault, "account " + account_.name + ": " + account_.provider.role + ": " + what, Milliseconds(0)};
}

Result<HttpRequest> AwsStsSource::make_request(const SourceNeed& need, const std::string& policy) const {
    const WallTime now = clock_.wall();
    const std::int64_t wanted = (need.wanted_until.unix_ms - now.unix_ms + 999) / 1000;
    Form form;
    form.add("Action", "AssumeRole");
    form.add("Version", kVersion);
    form.add("RoleArn", account_.provider.role);
    form.add("RoleSessionName", need.mission);
    form.add("DurationSeconds", std::to_string(std::clamp(wanted, kSessionSecondsMin, kSessionSecondsMax)));
    form.add("Policy", policy);
    form.add_if("ExternalId", account_.provider.external_id);
    HttpRequest request;
    request.method = "POST";
    request.url = account_.provider.api + "/";
    request.body = form.body();
    SANCTUM_TRY(const RequestPlace place, place_of(request.url));
    const sigv4::Signer signer(keys_, {account_.region, std::string(kService)}, sts_clock_.now());
    request.headers = {{"content-type", std::string(kContentType)}, {"x-amz-date", signer.moment()}};
    const std::string payload = sigv4::hex_digest(request.body.reveal());
    sigv4::Request signed_request{request.method, place.target, {}, request.headers, payload};
    signed_request.fields.emplace_back("host", place.authority());
    SANCTUM_TRY(const sigv4::Canonical canonical, sigv4::canonical_request(signed_request, kService));
    request.authorization = Secret(signer.authorization(canonical, signer.sign(canonical)));
    return request;
}

void AwsStsSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    const std::vector<std::string> actions = provider_scopes(account_.provider, need.scopes);
    const Result<std::string> policy = session_policy(partition_of(account_.provider.role), actions, bounds_);
    if (!policy) return done(failure(SourceFault::Misconfigured, policy.error().what));
    ask({need, actions, *policy}, std::move(done));
}

void AwsStsSource::ask(Question question, Completion<Fetched> done) {
    Result<HttpRequest> request = make_request(question.need, question.policy);
    if (!request) return done(failure(SourceFault::Misconfigured, request.error().what));
    http_.send(std::move(*request), [this, question, done = std::move(done)](Result<HttpResponse> response) {
        if (!response) {
            const TokenQuestion asked{"AWS STS", account_.name, "", SourceFault::Misconfigured};
            return done(failure_of(response.error(), asked));
        }
        const bool was_wrong = sts_clock_.learn(*response);
        Fetched fetched = take(question.actions, *response);
        const bool is_about_time = !fetched && fetched.failure().fault == SourceFault::ClockSkew;
        // A signature that was refused for its time made nothing.
        if (is_about_time && was_wrong && !question.is_second) {
            return ask({question.need, question.actions, question.policy, true}, done);
        }
        done(std::move(fetched));
    });
}

// What a status other than 200 means.
SourceFailure AwsStsSource::refusal(const HttpResponse& response) const {
    const std::string status = "status " + std::to_string(response.status);
    const Result<XmlAnswer> xml = XmlAnswer::parse(response);
    if (!xml) {
        if (response.status == 429) return failure(SourceFault::RateLimited, status + ": asked too often");
        if (response.status == 502 || response.status == 504) return failure(SourceFault::NoAnswer, status);
        if (response.status >= 500) return failure(SourceFault::Unavailable, status);
        return failure(SourceFault::Protocol, xml.error().what);
    }
    const std::string code = xml->text("ErrorResponse/Error/Code");
    const std::string message = xml->text("ErrorResponse/Error/Message");
    const std::string said = profiles::printable(code + ": " + message).substr(0, kMessageCharsMax);
    const auto known = std::find_if(kStsErrors.begin(), kStsErrors.end(),
                                    [&](const StsError& error) { return error.code == code; });
    SourceFailure refused = failure(SourceFault::Failed, said);
    if (is_about_the_clock(code, message)) {
        refused = failure(SourceFault::ClockSkew, said + "; set this machine's clock");
    } else if (known != kStsErrors.end()) {
        refused = failure(known->fault, said + "; " + std::string(known->remedy));
    } else if (response.status == 502 || response.status == 504) {
        refused.fault = SourceFault::NoAnswer;
    } else if (response.status >= 500) {
        refused.fault = SourceFault::Unavailable;
    }
    if (refused.fault == SourceFault::RateLimited) refused.retry_after = retry_after_of(response, clock_.wall());
    return refused;
}

Fetched AwsStsSource::take(const std::vector<std::string>& actions, const HttpResponse& response) const {
    if (response.status != 200) return refusal(response);
    Result<XmlAnswer> xml = XmlAnswer::parse(response);
    if (!xml) return that_may_be_out(failure(SourceFault::Protocol, xml.error().what));
    const sigv4::Keys keys{xml->text(kAccessKey), xml->take_secret(kSecretKey), xml->take_secret(kSessionToken)};
    Credential credential;
    credential.secret = sigv4::join_keys(keys);
    if (const auto told = parse_utc_time(xml->text(kExpiration))) credential.expires = by_our_clock(*told, response);
    credential.retire = RetireClass::Expires;
    const Result<sigv4::Keys> usable = sigv4::parse_keys(credential.secret.reveal());
    if (!usable || keys.session_token.is_empty() || !credential.expires) {
        return that_may_be_out(
            failure(SourceFault::Protocol, "the answer holds no session's keys, or no time of its end"));
    }
    // AWS says how large the policy was when it packed it: an answer without that may be a session without a policy.
    const bool is_confirmed = xml->has(kPackedSize);
    if (!is_confirmed && !account_.provider.accepts_wider) {
        return that_may_be_out(failure(
            SourceFault::ScopeTooWide,
            "the answer does not confirm the session policy (PackedPolicySize), so the session may do all that the "
            "role may; for a server that never says so, write wider = \"accept\""));
    }
    credential.clock_offset = sts_clock_.offset();
    credential.remark = sts_clock_.remark("AWS STS");
    credential.scopes.asked = actions;
    credential.scopes.narrowed_by = is_confirmed ? NarrowedBy::Both : NarrowedBy::Proxy;
    return credential;
}

void AwsStsSource::retire(const Credential& /*credential*/, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    done({RetireOutcome::End::LeftToExpire, "AWS has no call that ends a session, so it ends at its own time"});
}

}  // namespace sanctum::vault
