// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/github_user.hpp"

#include "vault/http/http_date.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/retirement.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

constexpr std::string_view kRefreshToken = "ghr_";  // what GitHub's refresh tokens begin with

// GitHub's names of users and organisations are the same in any case of letters.
bool is_same_login(std::string_view a, std::string_view b) {
    const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return small(x) == small(y); });
}

}  // namespace

Capabilities GithubUserSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = true;
    capabilities.narrows_resources = true;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Self;
    return capabilities;
}

SourceFailure GithubUserSource::failure(SourceFault fault, const std::string& what) const {
    return {fault, "account " + account_.name + ": " + github_->identity().title() + ": " + what, Milliseconds(0)};
}

TokenQuestion GithubUserSource::question() const {
    TokenQuestion question{github_->identity().title(), account_.name, "", SourceFault::ConsentLost};
    question.can_connect = true;
    return question;
}

HttpRequest GithubUserSource::request(std::string method, const std::string& path, Secret body) const {
    HttpRequest request = github_request(account_.provider.api, std::move(method),
                                         "/applications/" + github_->identity().client().client_id + path);
    request.headers.emplace_back("content-type", "application/json");
    request.authorization = github_->identity().basic_authorization();
    request.body = std::move(body);
    return request;
}

// FAIL-CLOSED: without an owner GitHub cannot say which installation bounds the token.
std::variant<GithubUserSource::Asked, SourceFailure> GithubUserSource::asked_for(const SourceNeed& need) const {
    Result<GithubAsk> ask = github_ask(account_.provider, need);
    if (!ask) return failure(SourceFault::Misconfigured, ask.error().what);
    const std::string& target = account_.provider.target;
    if (ask->owner.empty() && target.empty()) {
        return failure(SourceFault::Misconfigured, "this request names no repository; write target = \"OWNER\" at the "
                                                   "account, the organisation or user that installed the app");
    }
    const bool is_elsewhere = !ask->owner.empty() && !target.empty() && !is_same_login(ask->owner, target);
    if (is_elsewhere) {
        return failure(SourceFault::Misconfigured,
                       "the repositories of " + ask->owner + " are not those of target = \"" + target + "\"");
    }
    std::string whose = ask->owner.empty() ? target : ask->owner;
    return Asked{std::move(*ask), std::move(whose)};
}

void GithubUserSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    std::variant<Asked, SourceFailure> asked = asked_for(need);
    if (auto* failure = std::get_if<SourceFailure>(&asked)) return done(std::move(*failure));
    find_token(std::get<Asked>(asked), Attempt::First, std::move(done));
}

void GithubUserSource::find_token(const Asked& asked, Attempt attempt, Completion<Fetched> done) {
    if (!user_token_.is_empty()) return narrow(asked, attempt, std::move(done));
    user_->use([this, asked, attempt, done = std::move(done)](Result<SubjectToken::Use> use) {
        if (!use) return done(std::move(use).error());
        const auto held = std::make_shared<SubjectToken::Use>(std::move(*use));
        // Another need of this mission waited for the same lock, and has refreshed.
        if (!user_token_.is_empty()) {
            held->release();
            return narrow(asked, attempt, done);
        }
        if (held->token().reveal().starts_with(kRefreshToken)) return renew(asked, attempt, held, done);
        user_token_ = held->token().duplicate();
        is_refreshed_ = false;
        held->release();
        narrow(asked, attempt, done);
    });
}

// GitHub rotates: the next token is durable before the one that came with it is used.
void GithubUserSource::renew(const Asked& asked, Attempt attempt, const std::shared_ptr<SubjectToken::Use>& held,
                             Completion<Fetched> done) {
    if (Status ready = held->sending(); !ready) return done(unusable_now(account_.name, ready.error()));
    const auto form = std::make_shared<Form>();
    form->add("grant_type", "refresh_token");
    form->add("refresh_token", held->token().reveal());
    const auto make = [form](WallTime /*now*/) -> Result<Form> { return form->duplicate(); };
    github_->ask(make, question(), [this, asked, attempt, held, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) {
            if (!failure->leaves_an_orphan()) static_cast<void>(held->not_taken());
            return done(std::move(*failure));
        }
        auto& answer = std::get<TokenAnswer>(outcome);
        if (Status kept = held->answered(answer.refresh_token); !kept) {
            SourceFailure lost = unusable_now(account_.name, kept.error());
            lost.what += "; the new refresh token is lost";
            return done(that_may_be_out(std::move(lost)));
        }
        held->release();
        user_token_ = std::move(answer.access_token);
        is_refreshed_ = true;
        narrow(asked, attempt, done);
    });
}

void GithubUserSource::narrow(const Asked& asked, Attempt attempt, Completion<Fetched> done) {
    JsonBody body;
    body.text("access_token", user_token_.reveal());
    body.text("target", asked.target);
    if (!asked.ask.repositories.empty()) body.json("repositories", asked.ask.repositories_json());
    body.json("permissions", asked.ask.permissions_json());
    http_.send(request("POST", "/token/scoped", body.take()),
               [this, asked, attempt, done = std::move(done)](const Result<HttpResponse>& response) {
                   if (!response) return done(failure_of(response.error(), question()));
                   if (response->status != 404) return take(asked, *response, done);
                   user_token_ = Secret();
                   const bool can_be_fresh = std::exchange(is_refreshed_, false) && attempt == Attempt::First;
                   if (can_be_fresh) return find_token(asked, Attempt::WithFreshToken, done);
                   done(refusal(*response));
               });
}

// What a status other than 200 means.
SourceFailure GithubUserSource::refusal(const HttpResponse& response) const {
    SourceFailure refused = github_refusal(failure(SourceFault::Failed, "").what, response, github_->our_time());
    const auto say = [&](SourceFault fault, const std::string& remedy) {
        refused.fault = fault;
        refused.what += ": " + remedy;
    };
    if (refused.fault != SourceFault::Failed) return refused;
    if (response.status == 401) say(SourceFault::Misconfigured, "check client_id and the client's secret");
    else if (response.status == 403) say(SourceFault::Misconfigured, "the app is suspended there, or may not do this");
    else if (response.status == 404) {
        say(SourceFault::ConsentLost, "the user's token is not known any more, or the app is not installed there: "
                                      "connect the account again (sanctum connect " + account_.name + ")");
    } else if (response.status == 422) {
        say(SourceFault::ScopeUnavailable, "the user or the installation has not these repositories or permissions");
    }
    return refused;
}

void GithubUserSource::take(const Asked& asked, const HttpResponse& response, Completion<Fetched> done) {
    if (response.status != 200 && response.status != 201) return done(refusal(response));
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return done(that_may_be_out(failure(SourceFault::Protocol, json.error().what)));
    Credential credential;
    credential.secret = json->take_secret("token");
    credential.retire = RetireClass::Self;
    if (credential.secret.is_empty()) {
        return done(that_may_be_out(failure(SourceFault::Protocol, "the answer holds no token")));
    }
    // SECURITY: it can do all that the user lets the app do. It was made for nobody here, and is not taken back.
    if (credential.secret.equals(user_token_)) {
        return done(failure(SourceFault::Protocol, "the answer holds the user's own token"));
    }
    if (const auto told = parse_utc_time(json->text("expires_at"))) credential.expires = *told;
    JsonAnswer installation = json->take_object("installation");
    JsonAnswer owner = installation.take_object("account");
    if (!installation.has("permissions") || !is_same_login(owner.text("login"), asked.target)) {
        return refuse(credential, failure(SourceFault::Protocol, "the answer does not say what the token may do at " +
                                                                     asked.target), std::move(done));
    }
    if (!asked.ask.repositories.empty() && installation.text("repository_selection") != "selected") {
        return refuse(credential, failure(SourceFault::ScopeTooWide, "the token is good for all repositories of " +
                                                                         asked.target), std::move(done));
    }
    auto scopes = check_scopes(account_, asked.ask.scopes(),
                               github_scopes(installation.texts_of("permissions"), asked.ask));
    if (auto* wrong = std::get_if<SourceFailure>(&scopes)) {
        return refuse(credential, std::move(*wrong), std::move(done));
    }
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    done(std::move(credential));
}

// Made for us and of no use: it does not stay.
void GithubUserSource::refuse(const Credential& made, SourceFailure failure, Completion<Fetched> done) {
    retire(made, RetireCause::Used,
           [failure = std::move(failure), done = std::move(done)](const RetireOutcome& outcome) {
               done(after_clean_up(failure, outcome, /*reaches_all=*/true));
           });
}

std::unique_ptr<Retirement> GithubUserSource::taking_back(const Secret& token) const {
    JsonBody body;
    body.text("access_token", token.reveal());
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = "GitHub";
    retirement->request = request("DELETE", "/token", body.take());
    retirement->request.repeat = Repeat::Safe;
    return retirement;
}

std::unique_ptr<Retirement> GithubUserSource::retirement(const Credential& credential) const {
    return github_->identity().why_no_reaper().empty() ? taking_back(credential.secret) : nullptr;
}

std::string GithubUserSource::why_no_retirement(const Credential& /*credential*/) const {
    return github_->identity().why_no_reaper();
}

void GithubUserSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    send_retirement(http_, std::move(*taking_back(credential.secret)), std::move(done));
}

}  // namespace sanctum::vault
