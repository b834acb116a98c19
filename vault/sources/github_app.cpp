// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/github_app.hpp"

#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/http/http_date.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/oauth/token_answer.hpp"
#include "vault/retirement.hpp"

#include <algorithm>
#include <set>

namespace sanctum::vault {
namespace {

constexpr std::int64_t kIssuedBackMs = 60'000;    // GitHub's advice against clocks that differ
constexpr std::int64_t kAssertionMs = 5 * 60'000;  // at most ten minutes
constexpr std::int64_t kTokenMs = 60 * 60'000;     // of every installation token
constexpr std::string_view kAlwaysGiven = "metadata:read";  // GitHub adds it to every token

int rank(std::string_view access) {
    if (access == "read") return 1;
    if (access == "write") return 2;
    return access == "admin" ? 3 : 0;
}

// permission → access
Result<std::map<std::string, std::string>> permissions_of(const std::vector<std::string>& scopes) {
    std::map<std::string, std::string> permissions;
    for (const std::string& scope : scopes) {
        const std::size_t colon = scope.find(':');
        const std::string access = colon == std::string::npos ? "" : scope.substr(colon + 1);
        if (rank(access) == 0) {
            return Error{Errc::NotPermitted, "scope " + scope + " is no permission of a GitHub App; say with " +
                                                 "scope_names what it is called there (as in \"contents:write\")"};
        }
        std::string& known = permissions[scope.substr(0, colon)];
        if (rank(known) < rank(access)) known = access;
    }
    return permissions;
}

}  // namespace

Result<std::string> installation_token_body(const profiles::ProviderAccount& account, const SourceNeed& need) {
    SANCTUM_TRY(const auto permissions, permissions_of(provider_scopes(account, need.scopes)));
    std::set<std::string> names;
    std::set<std::string> owners;
    if (const auto repositories = need.resources.find("repo"); repositories != need.resources.end()) {
        for (const std::string& repository : repositories->second) {
            const std::size_t slash = repository.find('/');
            owners.insert(repository.substr(0, slash));
            std::string name = slash == std::string::npos ? repository : repository.substr(slash + 1);
            if (name.ends_with(".git")) name.resize(name.size() - 4);
            names.insert(std::move(name));
        }
    }
    if (owners.size() > 1) return Error{Errc::NotPermitted, "one installation has repositories of one owner"};
    std::string body = "{";
    if (!names.empty()) {
        body += "\"repositories\":[";
        for (const std::string& name : names) {
            if (!body.ends_with('[')) body += ",";
            wire::append_json_string(body, name);
        }
        body += "],";
    }
    body += "\"permissions\":{";
    for (const auto& [permission, access] : permissions) {
        if (!body.ends_with('{')) body += ",";
        wire::append_json_string(body, permission);
        body += ":";
        wire::append_json_string(body, access);
    }
    return body + "}}";
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

HttpRequest GithubAppSource::request(std::string method, const std::string& path) const {
    HttpRequest request;
    request.method = std::move(method);
    request.url = account_.provider.api + path;
    request.headers = {{"accept", "application/vnd.github+json"}, {"x-github-api-version", "2022-11-28"}};
    return request;
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
    HttpRequest ask = request("POST", "/app/installations/" + account_.provider.installation + "/access_tokens");
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
    const int status = response.status;
    const std::string shown = "status " + std::to_string(status);
    const bool is_limited = status == 429 || (status == 403 && response.header("x-ratelimit-remaining") == "0");
    SourceFailure refused = failure(SourceFault::Failed, shown);
    const auto say = [&](SourceFault fault, const std::string& remedy) {
        refused = failure(fault, shown + ": " + remedy);
    };
    if (is_limited) refused.fault = SourceFault::RateLimited;
    else if (status == 401) say(SourceFault::Misconfigured, "check app_id and the app's private key");
    else if (status == 403) say(SourceFault::Misconfigured, "the installation is suspended, or not this app's");
    else if (status == 404) say(SourceFault::Misconfigured, "no installation " + account_.provider.installation);
    else if (status == 422) {
        say(SourceFault::ScopeUnavailable, "the installation has not these repositories or permissions");
    } else if (status == 502 || status == 504) refused.fault = SourceFault::NoAnswer;
    else if (status >= 500) refused.fault = SourceFault::Unavailable;
    if (is_limited) refused.retry_after = retry_after_of(response, clock_.wall());
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
    std::vector<std::string> asked;
    const auto permissions = permissions_of(provider_scopes(account_.provider, need.scopes));
    for (const auto& [permission, access] : *permissions) asked.push_back(permission + ":" + access);
    std::vector<std::string> received;
    for (const auto& [permission, access] : json->texts_of("permissions")) {
        const std::string scope = permission + ":" + access;
        const bool was_asked = std::find(asked.begin(), asked.end(), scope) != asked.end();
        if (scope != kAlwaysGiven || was_asked) received.push_back(scope);
    }
    std::sort(received.begin(), received.end());
    auto scopes = check_scopes(account_, asked, received);
    if (auto* wrong = std::get_if<SourceFailure>(&scopes)) {
        // Made for us and of no use: it does not stay.
        return retire(credential, RetireCause::Used, [wrong = std::move(*wrong), done](const RetireOutcome& outcome) {
            done(after_clean_up(wrong, outcome, true));
        });
    }
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    done(std::move(credential));
}

std::unique_ptr<Retirement> GithubAppSource::retirement(const Credential& credential) const {
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = "GitHub";
    retirement->request = request("DELETE", "/installation/token");
    retirement->request.repeat = Repeat::Safe;
    retirement->request.authorization = bearer(credential.secret);
    retirement->unknown_is_gone = true;
    return retirement;
}

void GithubAppSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    send_retirement(http_, std::move(*retirement(credential)), std::move(done));
}

}  // namespace sanctum::vault
