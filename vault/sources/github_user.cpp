// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/github_user.hpp"

#include "base/digest.hpp"
#include "base/wire/archive.hpp"
#include "vault/http/http_date.hpp"
#include "vault/http/json_answer.hpp"
#include "vault/http/json_body.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/retirement.hpp"

namespace sanctum::vault {
namespace {

// Of a user's, in one need: what this mission had, what another one made of it meanwhile, what is made now.
constexpr int kTokensMax = 3;

std::string wider_token(const GithubTokens& user) {
    return "it was made from the user's own, wider token (SHA-256 " + wire::to_hex(sha256(user.access.reveal())) +
           "), which stays in the store for the next need and ends at its own time";
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
    const bool is_elsewhere = !ask->owner.empty() && !target.empty() && !is_same_name(ask->owner, target);
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
    const auto asking = std::make_shared<Asking>();
    asking->asked = std::get<Asked>(std::move(asked));
    asking->done = std::move(done);
    if (tokens_) return narrow(asking);
    find_token(asking, std::make_shared<const GithubTokens>());
}

bool GithubUserSource::has_other_than(const TokensPtr& dead) const {
    return tokens_ && !tokens_->access.equals(dead->access);
}

// Another than `dead`: of another need, of another mission, or a new one.
void GithubUserSource::find_token(const AskingPtr& asking, const TokensPtr& dead) {
    user_->use([this, asking, dead](Result<SubjectToken::Use> use) {
        if (!use) return asking->done(std::move(use).error());
        take_item(asking, dead, std::make_shared<SubjectToken::Use>(std::move(*use)));
    });
}

void GithubUserSource::take_item(const AskingPtr& asking, const TokensPtr& dead,
                                 const std::shared_ptr<SubjectToken::Use>& held) {
    Result<GithubTokens> stored = parse_github_item(held->token());
    if (!stored) {
        return fail(*asking, failure(SourceFault::Misconfigured, "store item `" + account_.item + "` " +
                                                                     stored.error().what));
    }
    if (!stored->access.is_empty() && !stored->access.equals(dead->access)) {
        tokens_ = std::make_shared<const GithubTokens>(std::move(*stored));
        held->release();
        return narrow(asking);
    }
    if (stored->refresh.is_empty() || asking->has_renewed) return fail(*asking, consent_lost());
    renew(asking, held, std::move(*stored));
}

// GitHub rotates: the next tokens are durable before they are used.
void GithubUserSource::renew(const AskingPtr& asking, const std::shared_ptr<SubjectToken::Use>& held,
                             GithubTokens old) {
    if (Status ready = held->sending(); !ready) return fail(*asking, unusable_now(account_.name, ready.error()));
    const auto form = std::make_shared<Form>();
    form->add("grant_type", "refresh_token");
    form->add("refresh_token", old.refresh.reveal());
    const auto make = [form](WallTime /*now*/) -> Result<Form> { return form->duplicate(); };
    const auto before = std::make_shared<GithubTokens>(std::move(old));
    github_->ask(make, question(), [this, asking, held, before](TokenOutcome outcome) {
        if (auto* refused = std::get_if<SourceFailure>(&outcome)) {
            if (!refused->leaves_an_orphan()) static_cast<void>(held->not_taken());
            return fail(*asking, std::move(*refused));
        }
        auto& answer = std::get<TokenAnswer>(outcome);
        auto renewed = std::make_shared<GithubTokens>();
        renewed->access = std::move(answer.access_token);
        renewed->refresh = std::move(answer.refresh_token);
        if (renewed->refresh.is_empty()) renewed->refresh = std::move(before->refresh);
        if (answer.expires_in) {
            renewed->ends = WallTime{github_->provider_time().unix_ms + answer.expires_in->count()};
        }
        const Secret item = github_item(*renewed);
        if (!parse_github_item(item)) {
            return fail(*asking, that_may_be_out(failure(SourceFault::Protocol, "the answer's tokens are no tokens")));
        }
        if (Status kept = held->answered(item); !kept) {
            SourceFailure lost = unusable_now(account_.name, kept.error());
            lost.what += "; the new refresh token is lost";
            return fail(*asking, that_may_be_out(std::move(lost)));
        }
        held->release();
        tokens_ = std::move(renewed);
        asking->has_renewed = true;
        narrow(asking);
    });
}

void GithubUserSource::narrow(const AskingPtr& asking) {
    if (asking->tokens_tried == kTokensMax) return fail(*asking, consent_lost());
    ++asking->tokens_tried;
    const TokensPtr sent = tokens_;
    const Asked& asked = asking->asked;
    JsonBody body;
    body.text("access_token", sent->access.reveal());
    body.text("target", asked.target);
    if (!asked.ask.repositories.empty()) body.json("repositories", asked.ask.repositories_json());
    body.json("permissions", asked.ask.permissions_json());
    http_.send(request("POST", "/token/scoped", body.take()),
               [this, asking, sent](const Result<HttpResponse>& response) {
                   if (!response) return fail(*asking, failure_of(response.error(), question()));
                   static_cast<void>(github_clock_.learn(*response));
                   if (response->status == 404) return find_out_why(asking, sent);
                   take(asking, sent, *response);
               });
}

// The same 404 says that the user's token is dead and that the app is not installed there. A refresh for the second
// would end every token that is out, so GitHub is asked which it is.
// https://docs.github.com/rest/apps/oauth-applications#check-a-token
void GithubUserSource::find_out_why(const AskingPtr& asking, const TokensPtr& sent) {
    if (has_other_than(sent)) return narrow(asking);  // another need has found out
    JsonBody body;
    body.text("access_token", sent->access.reveal());
    HttpRequest check = request("POST", "/token", body.take());
    check.repeat = Repeat::Safe;
    http_.send(std::move(check), [this, asking, sent](const Result<HttpResponse>& response) {
        if (has_other_than(sent)) return narrow(asking);
        if (response && response->status == 404) return find_token(asking, sent);
        if (response && response->status == 200) {
            const std::string& owner = asking->asked.target;
            return fail(*asking, failure(SourceFault::Misconfigured,
                                         "status 404: the app is not installed for " + owner + ", or this user may " +
                                             "not use it there; install it for " + owner + " at GitHub"));
        }
        SourceFailure unknown = response ? refusal(*response) : failure_of(response.error(), question());
        // Nothing is made by this question.
        if (unknown.fault == SourceFault::NoAnswer) unknown.fault = SourceFault::Unavailable;
        fail(*asking, std::move(unknown));
    });
}

// A refresh for a need that got nothing has no lease to stand beside.
void GithubUserSource::fail(const Asking& asking, SourceFailure failure) const {
    if (asking.has_renewed && tokens_) {
        failure.what += "; the user's own token was renewed for it (SHA-256 ";
        failure.what += wire::to_hex(sha256(tokens_->access.reveal())) + ") and stays in the store";
    }
    asking.done(std::move(failure));
}

SourceFailure GithubUserSource::consent_lost() const {
    return failure(SourceFault::ConsentLost, "the user's token is not known any more: connect the account again "
                                             "(sanctum connect " + account_.name + ")");
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
    else if (response.status == 422) {
        say(SourceFault::ScopeUnavailable, "the user or the installation has not these repositories or permissions");
    }
    return refused;
}

void GithubUserSource::take(const AskingPtr& asking, const TokensPtr& sent, const HttpResponse& response) {
    const Asked& asked = asking->asked;
    if (response.status != 200 && response.status != 201) return fail(*asking, refusal(response));
    Result<JsonAnswer> json = JsonAnswer::parse(response);
    if (!json) return fail(*asking, that_may_be_out(failure(SourceFault::Protocol, json.error().what)));
    Credential credential;
    credential.secret = json->take_secret("token");
    credential.retire = RetireClass::Self;
    if (credential.secret.is_empty()) {
        return fail(*asking, that_may_be_out(failure(SourceFault::Protocol, "the answer holds no token")));
    }
    // SECURITY: it can do all that the user lets the app do. It was made for nobody here, and is not taken back.
    if (credential.secret.equals(sent->access)) {
        return fail(*asking, failure(SourceFault::Protocol, "the answer holds the user's own token"));
    }
    const std::string told = json->text("expires_at");
    const std::optional<WallTime> ends = parse_utc_time(told);
    if (ends) credential.expires = github_clock_.by_our_clock(*ends);
    describe(credential, *sent);
    if (!told.empty() && !ends) {
        return refuse(asking, credential, failure(SourceFault::Protocol, "the token's end is no time"));
    }
    JsonAnswer installation = json->take_object("installation");
    JsonAnswer owner = installation.take_object("account");
    if (!installation.has("permissions") || !is_same_name(owner.text("login"), asked.target)) {
        return refuse(asking, credential,
                      failure(SourceFault::Protocol,
                              "the answer does not say what the token may do at " + asked.target));
    }
    // It does not say which they are.
    if (const auto wrong = selection_mismatch(asked.ask, installation.text("repository_selection"))) {
        return refuse(asking, credential, failure(wrong->fault, wrong->what));
    }
    auto scopes = check_scopes(account_, asked.ask.scopes(),
                               github_scopes(installation.texts_of("permissions"), asked.ask));
    if (auto* wrong = std::get_if<SourceFailure>(&scopes)) {
        return refuse(asking, credential, std::move(*wrong));
    }
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    asking->done(std::move(credential));
}

// On record beside it: the wider token that it was made from, where a refresh made that.
void GithubUserSource::describe(Credential& credential, const GithubTokens& parent) const {
    if (!parent.refresh.is_empty()) {
        credential.remark = wider_token(parent);
        const bool has_ends = credential.expires && parent.ends;
        if (has_ends) credential.alive_until = github_clock_.by_our_clock(*parent.ends);
    }
    const std::string clock = github_clock_.remark("GitHub");
    if (!clock.empty()) credential.remark += (credential.remark.empty() ? "" : "; ") + clock;
}

// Made for us and of no use: it does not stay.
void GithubUserSource::refuse(const AskingPtr& asking, const Credential& made, SourceFailure failure) {
    retire(made, RetireCause::Used, [this, asking, failure = std::move(failure)](const RetireOutcome& outcome) {
        fail(*asking, after_clean_up(failure, outcome, /*reaches_all=*/true));
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
