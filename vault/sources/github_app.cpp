// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/github_app.hpp"

#include "base/limits.hpp"
#include "vault/http/http_date.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/github_scopes.hpp"

namespace sanctum::vault {
namespace {

constexpr std::int64_t kIssuedBackMs = 60'000;    // GitHub's advice against clocks that differ
constexpr std::int64_t kAssertionMs = 5 * 60'000;  // at most ten minutes
constexpr std::int64_t kTokenMs = 60 * 60'000;     // of every installation token

std::optional<std::vector<std::string>> full_names(JsonAnswer& answer) {
    const auto repositories = answer.take_objects("repositories");
    if (!repositories) return std::nullopt;
    std::vector<std::string> names;
    for (const JsonAnswer& repository : *repositories) names.push_back(repository.text("full_name"));
    return names;
}

}  // namespace

Result<std::string> installation_token_body(const profiles::ProviderAccount& account, const SourceNeed& need) {
    SANCTUM_TRY(const GithubAsk ask, github_ask(account, need));
    JsonBody body;
    if (!ask.repositories.empty()) body.json("repositories", ask.repositories_json());
    body.json("permissions", ask.permissions_json());
    return std::string(body.take().reveal());
}

Capabilities GithubAppSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = true;
    capabilities.narrows_resources = true;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Self;
    capabilities.life_max = Milliseconds(kTokenMs);
    return capabilities;
}

SourceFailure GithubAppSource::failure(SourceFault fault, const std::string& what) const {
    return {fault, "account " + account_.name + ": GitHub App " + account_.provider.app_id + ": " + what,
            Milliseconds(0)};
}

void GithubAppSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    Result<std::string> body = installation_token_body(account_.provider, need);
    if (!body) return done(failure(SourceFault::Misconfigured, body.error().what));
    mint(need, *body, Attempt::First, std::move(done));
}

void GithubAppSource::mint(const SourceNeed& need, const std::string& body, Attempt attempt,
                           Completion<Fetched> done) {
    const std::int64_t now = github_clock_.now().unix_ms;
    const std::string claims = "{\"iat\":" + std::to_string((now - kIssuedBackMs) / 1000) +
                               ",\"exp\":" + std::to_string((now + kAssertionMs) / 1000) + ",\"iss\":\"" +
                               account_.provider.app_id + "\"}";
    Result<Secret> assertion = key_.sign(claims, "JWT", "");
    if (!assertion) return done(std::move(assertion).error());
    const std::string path = "/app/installations/" + account_.provider.installation + "/access_tokens";
    HttpRequest ask = github_request(account_.provider.api, "POST", path);
    ask.headers.emplace_back("content-type", "application/json");
    ask.authorization = bearer(*assertion);
    ask.body = Secret(body);
    http_.send(std::move(ask), [this, need, body, attempt, done = std::move(done)](Result<HttpResponse> response) {
        if (!response) {
            const TokenQuestion question{"GitHub App " + account_.provider.app_id, account_.name, "",
                                         SourceFault::Misconfigured};
            return done(failure_of(response.error(), question));
        }
        // GitHub says of a time that it does not take what it says of a wrong key.
        const bool was_wrong = github_clock_.learn(*response);
        const bool may_be_time = response->status == 401;
        if (may_be_time && was_wrong && attempt == Attempt::First) return mint(need, body, Attempt::Corrected, done);
        const std::string remark = github_clock_.remark("GitHub");
        if (may_be_time && !remark.empty()) {
            return done(failure(SourceFault::ClockSkew, remark + ", which did not help"));
        }
        take(need, *response, done);
    });
}

// What a status other than 201 means.
SourceFailure GithubAppSource::refusal(const HttpResponse& response) const {
    SourceFailure refused = github_refusal(failure(SourceFault::Failed, "").what, response, clock_.wall());
    const auto say = [&](SourceFault fault, const std::string& remedy) {
        refused.fault = fault;
        refused.what += ": " + remedy;
    };
    if (refused.fault != SourceFault::Failed) return refused;
    if (response.status == 401) say(SourceFault::Misconfigured, "check app_id and the app's private key");
    else if (response.status == 403) {
        say(SourceFault::Misconfigured, "the installation is suspended, or not this app's");
    } else if (response.status == 404) {
        say(SourceFault::Misconfigured, "no installation " + account_.provider.installation);
    } else if (response.status == 422) {
        say(SourceFault::ScopeUnavailable, "the installation has not these repositories or permissions");
    }
    return refused;
}

void GithubAppSource::take(const SourceNeed& need, const HttpResponse& response, Completion<Fetched> done) {
    if (response.status != 201) return done(refusal(response));
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return done(that_may_be_out(failure(SourceFault::Protocol, json.error().what)));
    Credential credential;
    credential.secret = json->take_secret("token");
    if (const auto told = parse_utc_time(json->text("expires_at"))) {
        credential.expires = github_clock_.by_our_clock(*told);
    }
    credential.remark = github_clock_.remark("GitHub");
    credential.retire = RetireClass::Self;
    if (credential.secret.is_empty() || !credential.expires) {
        return done(
            that_may_be_out(failure(SourceFault::Protocol, "the answer holds no token, or no time of its end")));
    }
    const Result<GithubAsk> ask = github_ask(account_.provider, need);
    SANCTUM_ASSERT(ask);  // it was sent
    auto scopes = check_scopes(account_, ask->scopes(), github_scopes(json->texts_of("permissions"), *ask));
    if (auto* wrong = std::get_if<SourceFailure>(&scopes)) {
        return refuse(credential, std::move(*wrong), std::move(done));
    }
    if (const auto wrong = repositories_mismatch(*ask, json->text("repository_selection"), full_names(*json))) {
        return refuse(credential, failure(wrong->fault, wrong->what), std::move(done));
    }
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    done(std::move(credential));
}

// Made for us and of no use: it does not stay.
void GithubAppSource::refuse(const Credential& made, SourceFailure failure, Completion<Fetched> done) {
    retire(made, RetireCause::Used,
           [failure = std::move(failure), done = std::move(done)](const RetireOutcome& outcome) {
               done(after_clean_up(failure, outcome, true));
           });
}

std::unique_ptr<Retirement> GithubAppSource::retirement(const Credential& credential) const {
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = "GitHub";
    retirement->request = github_request(account_.provider.api, "DELETE", "/installation/token");
    retirement->request.repeat = Repeat::Safe;
    retirement->request.authorization = bearer(credential.secret);
    retirement->unknown_is_gone = true;
    return retirement;
}

void GithubAppSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    send_retirement(http_, std::move(*retirement(credential)), std::move(done));
}

}  // namespace sanctum::vault
