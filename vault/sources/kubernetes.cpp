// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/kubernetes.hpp"

#include "base/limits.hpp"
#include "vault/http/http_date.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/http/provider_clock.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/retirement.hpp"

#include <algorithm>
#include <iterator>
#include <sodium.h>

namespace sanctum::vault {

struct KubernetesSource::Work {
    SourceNeed need;
    Completion<Fetched> done;
    std::string name;  ///< of the Secret: known before anything is asked
    std::string uid;
    std::int64_t seconds = 0;
    Credential credential;
};

namespace {

// The claims of a compact JWT, not verified: the API server made it, over TLS. Errors: Protocol.
Result<JsonAnswer> claims_in(const Secret& token) {
    const std::string_view text = token.reveal();
    const std::size_t first = std::min(text.find('.'), text.size());
    const std::size_t begin = std::min(first + 1, text.size());
    const std::size_t end = std::min(text.find('.', begin), text.size());
    std::string plain(end - begin, '\0');
    std::size_t size = 0;
    const int failed = ::sodium_base642bin(reinterpret_cast<unsigned char*>(plain.data()), plain.size(),
                                           text.data() + begin, end - begin, nullptr, &size, nullptr,
                                           sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (failed != 0) return Error{Errc::Protocol, "the token is no JWT"};
    HttpResponse claims;
    claims.headers["content-type"] = "application/json";
    claims.body = Secret(std::string_view(plain).substr(0, size));
    wipe(plain);
    return JsonAnswer::parse(claims);
}

std::vector<std::string> audiences_in(const JsonAnswer& claims) {
    std::vector<std::string> audiences = claims.text_elements("aud");
    if (const std::string one = claims.text("aud"); !one.empty()) audiences.push_back(one);
    std::sort(audiences.begin(), audiences.end());
    return audiences;
}

}  // namespace

KubernetesSource::KubernetesSource(HttpClient& http, const Clock& clock, profiles::Account account, Secret caller)
    : http_(http), clock_(clock), account_(std::move(account)) {
    certificate_.certificate = cluster().certificate_pem;
    if (certificate_.certificate.empty()) token_ = std::move(caller);
    else certificate_.key = std::move(caller);
}

Capabilities KubernetesSource::capabilities() const {
    Capabilities capabilities;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Accessor;
    capabilities.life_max = Milliseconds(kLeaseLifeMax);
    return capabilities;
}

HttpRequest KubernetesSource::request(const std::string& method, const std::string& path) const {
    HttpRequest request;
    request.method = method;
    request.url = cluster().server + "/api/v1/namespaces/" + cluster().name_space + "/" + path;
    request.headers = {{"accept", "application/json"}, {"content-type", "application/json"}};
    if (!token_.is_empty()) request.authorization = bearer(token_);
    if (!certificate_.certificate.empty()) request.certificate = &certificate_;
    return request;
}

void KubernetesSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    const auto work = std::make_shared<Work>();
    work->need = need;
    work->done = std::move(done);
    work->name = "sanctum-" + need.correlation;
    const Milliseconds left(need.wanted_until.unix_ms - clock_.wall().unix_ms);
    const auto life = std::clamp(left, Milliseconds(kKubernetesTokenLifeMin), Milliseconds(kLeaseLifeMax));
    work->seconds = life.count() / 1000;
    make_secret(work);
}

// Empty but for its labels: it is there to be deleted.
void KubernetesSource::make_secret(const WorkPtr& work) {
    HttpRequest make = request("POST", "secrets");
    const std::string labels = "{\"app.kubernetes.io/managed-by\":\"sanctum\",\"sanctum/mission\":" +
                               json_text(work->need.mission) + "}";
    JsonBody body;
    body.text("apiVersion", "v1");
    body.text("kind", "Secret");
    body.text("type", "Opaque");
    body.json("immutable", "true");
    body.json("metadata", "{\"name\":" + json_text(work->name) + ",\"labels\":" + labels + "}");
    make.body = body.take();
    http_.send(std::move(make), [this, work](Result<HttpResponse> response) {
        SourceFailure failed = response ? refusal(Step::MakeSecret, *response) : failure_of_error(response.error());
        const bool is_lost = failed.fault == SourceFault::NoAnswer || failed.fault == SourceFault::Protocol;
        const bool is_refused = response ? response->status >= 300 && response->status < 500 : !is_lost;
        if (is_refused) return work->done(std::move(failed));  // nothing of ours was made
        if (!response || response->status != 201) return give_up(work, std::move(failed));
        Result<JsonAnswer> json = JsonAnswer::parse(*response);
        if (!json) return give_up(work, failure(SourceFault::Protocol, json.error().what));
        work->uid = json->take_object("metadata").text("uid");
        if (work->uid.empty()) return give_up(work, failure(SourceFault::Protocol, "a Secret without a uid"));
        ask_token(work);
    });
}

// The deleter is for the API server itself, so it names no audience.
HttpRequest KubernetesSource::token_request(const Work& work, Step step) const {
    const bool is_deleter = step == Step::AskDeleter;
    HttpRequest ask =
        request("POST", "serviceaccounts/" + (is_deleter ? cluster().retire_as : cluster().service_account) + "/token");
    std::string spec = "{\"expirationSeconds\":" + std::to_string(work.seconds);
    if (!is_deleter && !cluster().audiences.empty()) spec += ",\"audiences\":" + json_list(cluster().audiences);
    spec += ",\"boundObjectRef\":{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"name\":" + json_text(work.name) +
            ",\"uid\":" + json_text(work.uid) + "}}";
    JsonBody body;
    body.text("apiVersion", "authentication.k8s.io/v1");
    body.text("kind", "TokenRequest");
    body.json("spec", spec);
    ask.body = body.take();
    return ask;
}

void KubernetesSource::ask_token(const WorkPtr& work) {
    http_.send(token_request(*work, Step::AskToken), [this, work](Result<HttpResponse> response) {
        if (!response) return give_up(work, failure_of_error(response.error()));
        if (response->status != 201) return give_up(work, refusal(Step::AskToken, *response));
        if (auto wrong = take_token(*work, *response)) return give_up(work, std::move(*wrong));
        if (!cluster().retire_as.empty()) return ask_deleter(work);
        holds_[work->name] = {work->uid, Secret()};
        work->done(std::move(work->credential));
    });
}

void KubernetesSource::ask_deleter(const WorkPtr& work) {
    http_.send(token_request(*work, Step::AskDeleter), [this, work](Result<HttpResponse> response) {
        if (!response) return give_up(work, failure_of_error(response.error()));
        if (response->status != 201) return give_up(work, refusal(Step::AskDeleter, *response));
        Result<JsonAnswer> json = JsonAnswer::parse(*response);
        if (!json) return give_up(work, failure(SourceFault::Protocol, json.error().what));
        Secret deleter = json->take_object("status").take_secret("token");
        if (deleter.is_empty()) return give_up(work, failure(SourceFault::Protocol, "the answer holds no token"));
        holds_[work->name] = {work->uid, std::move(deleter)};
        work->done(std::move(work->credential));
    });
}

// The server may make its life shorter or longer than was asked: its own word counts.
std::optional<SourceFailure> KubernetesSource::take_token(Work& work, const HttpResponse& response) const {
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return failure(SourceFault::Protocol, json.error().what);
    JsonAnswer status = json->take_object("status");
    Credential& credential = work.credential;
    credential.secret = status.take_secret("token");
    if (const auto told = parse_utc_time(status.text("expirationTimestamp"))) {
        credential.expires = by_our_clock(*told, response);
    }
    credential.handle = work.name;
    credential.retire = RetireClass::Accessor;
    credential.scopes.asked = work.need.scopes;
    if (credential.secret.is_empty() || !credential.expires) {
        return failure(SourceFault::Protocol, "the answer holds no token, or no time of its end");
    }
    if (auto wrong = check_claims(work, credential.secret)) return wrong;
    // The scopes are not the server's; whom the token is for, and until when, it does keep to.
    credential.scopes.narrowed_by = cluster().audiences.empty() ? NarrowedBy::Proxy : NarrowedBy::Both;
    return std::nullopt;
}

// SECURITY: a token for more audiences, or one that outlives its Secret, is not handed out.
std::optional<SourceFailure> KubernetesSource::check_claims(const Work& work, const Secret& token) const {
    Result<JsonAnswer> claims = claims_in(token);
    if (!claims) return failure(SourceFault::Protocol, claims.error().what);
    const std::string bound = claims->take_object("kubernetes.io").take_object("secret").text("uid");
    if (bound != work.uid) {
        return failure(SourceFault::ScopeTooWide, "the token is not bound to its Secret, and could not be revoked");
    }
    if (cluster().audiences.empty()) return std::nullopt;
    std::vector<std::string> asked = cluster().audiences;
    std::sort(asked.begin(), asked.end());
    const std::vector<std::string> received = audiences_in(*claims);
    if (received == asked) return std::nullopt;
    std::vector<std::string> excess;
    std::set_difference(received.begin(), received.end(), asked.begin(), asked.end(), std::back_inserter(excess));
    if (excess.empty()) return failure(SourceFault::ScopeUnavailable, "the token is not for all of `audiences`");
    return failure(SourceFault::ScopeTooWide,
                   "the token is for " + join_scopes(excess) + " as well, which nobody asked for");
}

// Everything hangs on the Secret, and its name was known before it was made.
void KubernetesSource::give_up(const WorkPtr& work, SourceFailure failure) {
    send_retirement(http_, deletion(work->name, work->uid),
                    [work, failure = std::move(failure)](const RetireOutcome& outcome) {
                        work->done(after_clean_up(failure, outcome, true));
                    });
}

Retirement KubernetesSource::deletion(const std::string& name, const std::string& uid) const {
    Retirement deletion;
    deletion.provider = "Kubernetes";
    deletion.request = request("DELETE", "secrets/" + name);
    deletion.request.repeat = Repeat::Safe;
    if (!uid.empty()) {
        JsonBody body;
        body.text("apiVersion", "v1");
        body.text("kind", "DeleteOptions");
        body.json("preconditions", "{\"uid\":" + json_text(uid) + "}");
        deletion.request.body = body.take();
        deletion.also_gone = {{409, "UID"}};  // another Secret has the name now: ours is gone
    }
    deletion.when_denied = "a Role must allow `delete` on secrets in namespace " + cluster().name_space;
    return deletion;
}

std::unique_ptr<Retirement> KubernetesSource::retirement(const Credential& credential) const {
    const auto hold = holds_.find(credential.handle);
    if (hold == holds_.end() || hold->second.deleter.is_empty()) return nullptr;
    auto retirement = std::make_unique<Retirement>(deletion(credential.handle, hold->second.uid));
    retirement->request.authorization = bearer(hold->second.deleter);
    retirement->request.certificate = nullptr;
    return retirement;
}

void KubernetesSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    const auto hold = holds_.find(credential.handle);
    const std::string uid = hold == holds_.end() ? std::string() : hold->second.uid;
    send_retirement(http_, deletion(credential.handle, uid),
                    [this, handle = credential.handle, done = std::move(done)](const RetireOutcome& outcome) {
                        if (outcome.end == RetireOutcome::End::Gone) holds_.erase(handle);
                        done(outcome);
                    });
}

SourceFailure KubernetesSource::failure(SourceFault fault, const std::string& what) const {
    constexpr std::size_t scheme = std::string_view("https://").size();
    return {fault,
            "account " + account_.name + ": Kubernetes at " +
                cluster().server.substr(std::min(scheme, cluster().server.size())) + ": " + what,
            Milliseconds(0)};
}

SourceFailure KubernetesSource::failure_of_error(const Error& error) const {
    return failure_of(error, TokenQuestion{"Kubernetes", account_.name, "", SourceFault::SubjectExpired});
}

// What a status other than 201 means (`Status` objects hold names and nothing that helps more; none is repeated).
SourceFailure KubernetesSource::refusal(Step step, const HttpResponse& response) const {
    const int status = response.status;
    const std::string shown = "status " + std::to_string(status) + ": ";
    const std::string place = " in namespace " + cluster().name_space;
    const std::string& name = step == Step::AskDeleter ? cluster().retire_as : cluster().service_account;
    const bool makes_secret = step == Step::MakeSecret;
    if (status == 401) {
        const bool has_certificate = !cluster().certificate_pem.empty();
        return failure(SourceFault::SubjectExpired,
                       shown + (has_certificate ? "the client certificate is not accepted; renew `certificate` and "
                                                : "the caller's token is not accepted; renew ") +
                           "item `" + account_.item + "`");
    }
    if (status == 403) {
        const std::string wanted = makes_secret ? std::string("`create` and `delete` on secrets")
                                                : "`create` on serviceaccounts/token of " + name;
        return failure(SourceFault::Misconfigured,
                       shown + "forbidden; a Role of the caller must allow " + wanted + place);
    }
    if (status == 404) {
        const std::string missing = makes_secret ? "namespace " + cluster().name_space
                                                 : "service account " + name + place;
        return failure(SourceFault::Misconfigured, shown + "there is no " + missing);
    }
    if (status == 400 || status == 422) {
        return failure(SourceFault::Misconfigured, shown + "the server does not take this request; check `audiences`");
    }
    if (status == 429) {
        SourceFailure limited = failure(SourceFault::RateLimited, shown + "asked too often");
        limited.retry_after = retry_after_of(response, clock_.wall());
        return limited;
    }
    if (status == 502 || status == 504) return failure(SourceFault::NoAnswer, shown + "a gateway lost the answer");
    if (status >= 500) return failure(SourceFault::Unavailable, shown + "the server cannot answer now");
    return failure(SourceFault::Failed, "status " + std::to_string(status));
}

}  // namespace sanctum::vault
