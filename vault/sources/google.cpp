// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/google.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/oauth.hpp"
#include "vault/sources/storage_boundary.hpp"

#include <algorithm>

namespace sanctum::vault {
namespace {

using End = RetireOutcome::End;

constexpr std::string_view kAssertionGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr std::string_view kExchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
constexpr std::string_view kGoogleTokenType = "urn:ietf:params:oauth:token-type:access_token";
constexpr std::int64_t kGoogleTokenMs = 60 * 60'000;  // of every access token
constexpr int kUnknownToken = 400;              // invalid_token: expired, revoked, or never there

// Google answers with the long names of these two.
std::string long_name(const std::string& scope) {
    if (scope == "email" || scope == "profile") return "https://www.googleapis.com/auth/userinfo." + scope;
    return scope;
}

// Names that the answers will have, so that what came can be compared with what was asked.
profiles::Account with_long_names(profiles::Account account) {
    for (auto& [scope, name] : account.provider.scope_names) name = long_name(name);
    return account;
}

// The account of the inner source, which must never revoke: a token that came too wide is left to expire as well.
profiles::Account that_never_revokes(profiles::Account account) {
    account.on_exit = "expire";
    return account;
}

HttpRequest form_post(std::string_view url, const Form& form) {
    HttpRequest request;
    request.method = "POST";
    request.url = url;
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}, {"accept", "application/json"}};
    request.body = form.body();
    return request;
}

HttpRequest revocation_request(const Secret& token) {
    Form form;
    form.add("token", token.reveal());
    HttpRequest request = form_post(kGoogleRevocationEndpoint, form);
    request.repeat = Repeat::Safe;
    return request;
}

// Google's STS takes `options` only when it was encoded before the form is.
std::string percent_encoded(std::string_view text) {
    Form form;
    form.add("", text);
    return std::string(form.body().reveal().substr(1));
}

}  // namespace

profiles::IdentityClient google_client(const profiles::Account& account) {
    profiles::IdentityClient client;
    client.name = "google";
    client.token_endpoint = kGoogleTokenEndpoint;
    client.revocation_endpoint = kGoogleRevocationEndpoint;
    client.client_id = account.provider.client_id;
    client.secret_item = account.provider.client_secret_item;
    if (!client.secret_item.empty()) client.authentication = profiles::ClientAuthentication::SecretPost;
    return client;
}

GoogleSource::GoogleSource(std::shared_ptr<TokenEndpoint> google, HttpClient& http, profiles::Account account,
                           std::shared_ptr<SubjectToken> refresh_token)
    : google_(std::move(google)), http_(http), account_(with_long_names(std::move(account))),
      user_(std::make_unique<OauthSource>(google_, that_never_revokes(account_), refresh_token)),
      refresh_token_(std::move(refresh_token)) {}

GoogleSource::GoogleSource(std::shared_ptr<TokenEndpoint> google, HttpClient& http, profiles::Account account,
                           ServiceAccount robot)
    : google_(std::move(google)), http_(http), account_(with_long_names(std::move(account))),
      robot_(std::move(robot)) {}

GoogleSource::~GoogleSource() = default;

Capabilities GoogleSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = true;
    capabilities.mints = true;
    capabilities.retire = robot_ || has_boundary() ? RetireClass::Expires : RetireClass::KillsGrant;
    capabilities.life_max = Milliseconds(kGoogleTokenMs);
    return capabilities;
}

void GoogleSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    if (has_boundary()) {
        // Before anything is asked for: what would only be thrown away is not made.
        if (const auto rules = boundary_rules(account_.provider, need); !rules) {
            return done(SourceFailure{SourceFault::Misconfigured,
                                      "account " + account_.name + ": " + rules.error().what, Milliseconds(0)});
        }
    }
    if (robot_) return sign_in(need, std::move(done));
    was_asked_ = true;
    user_->acquire(need, [done = std::move(done)](Fetched fetched) {
        if (fetched) fetched->retire = RetireClass::KillsGrant;
        done(std::move(fetched));
    });
}

void GoogleSource::sign_in(const SourceNeed& need, Completion<Fetched> done) {
    const std::vector<std::string> asked = provider_scopes(account_.provider, need.scopes);
    const auto make = [this, scopes = join_scopes(asked)](WallTime now) -> Result<Form> {
        SANCTUM_TRY(const Secret assertion, robot_->sign(scopes, account_.provider.user, now));
        Form form;
        form.add("grant_type", kAssertionGrant);
        form.add("assertion", assertion.reveal());
        return form;
    };
    const TokenQuestion question{google_->identity().title(), account_.name, "", SourceFault::Misconfigured, false,
                                 true};
    google_->ask(make, question, [this, asked, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) return done(std::move(*failure));
        auto& answer = std::get<TokenAnswer>(outcome);
        auto scopes = check_scopes(account_, asked, answer.scopes);
        if (auto* failure = std::get_if<SourceFailure>(&scopes)) return done(that_may_be_out(std::move(*failure)));
        Credential credential;
        credential.secret = std::move(answer.access_token);
        credential.scopes = std::get<ScopeReport>(std::move(scopes));
        credential.retire = RetireClass::Expires;
        credential.remark = google_->clock_remark();
        if (answer.expires_in) {
            credential.expires = WallTime{google_->our_time().unix_ms + answer.expires_in->count()};
        }
        done(std::move(credential));
    });
}

void GoogleSource::attenuate(const SourceNeed& need, Credential credential, Completion<Fetched> done) {
    if (!has_boundary()) return done(std::move(credential));
    Result<std::vector<BoundaryRule>> rules = boundary_rules(account_.provider, need);
    if (!rules) return done(std::move(rules).error());
    Form form;
    form.add("grant_type", kExchangeGrant);
    form.add("subject_token", credential.secret.reveal());
    form.add("subject_token_type", kGoogleTokenType);
    form.add("requested_token_type", kGoogleTokenType);
    form.add("options", percent_encoded(boundary_json(*rules)));
    const auto parent = std::make_shared<Credential>(std::move(credential));
    http_.send(form_post(kGoogleExchangeEndpoint, form), [this, parent, asked = boundary_texts(*rules),
                                                          done = std::move(done)](const Result<HttpResponse>& answer) {
        const TokenQuestion question{"Google's STS", account_.name, "", SourceFault::Misconfigured};
        if (!answer) return done(failure_of(answer.error(), question));
        TokenOutcome outcome = read_token_answer(*answer, question);
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) {
            failure->retry_after = retry_after_of(*answer, google_->our_time());
        }
        done(narrowed(*parent, asked, std::move(outcome)));
    });
}

Fetched GoogleSource::narrowed(const Credential& parent, std::vector<std::string> asked, TokenOutcome outcome) const {
    if (auto* failure = std::get_if<SourceFailure>(&outcome)) return std::move(*failure);
    auto& answer = std::get<TokenAnswer>(outcome);
    Credential child;
    child.secret = std::move(answer.access_token);
    child.scopes = {std::move(asked), std::nullopt, NarrowedBy::Both};
    child.retire = RetireClass::Expires;
    // It never outlives its parent, and says nothing of its own where it ends with it.
    child.expires = parent.expires;
    const WallTime latest{google_->our_time().unix_ms + kGoogleTokenMs};
    child.alive_until = parent.expires.value_or(latest);
    // Google cannot take back the one without the user's whole consent, nor anything of a service account.
    child.remark = "it was made from a wider token of the account (SHA-256 ";
    child.remark += wire::to_hex(sha256(parent.secret.reveal()));
    child.remark += "), which was dropped at once and ends at its own time";
    if (!parent.remark.empty()) child.remark += "; " + parent.remark;
    if (answer.expires_in) {
        const WallTime own{google_->our_time().unix_ms + answer.expires_in->count()};
        if (!child.expires || own.unix_ms < child.expires->unix_ms) child.expires = own;
    }
    return child;
}

void GoogleSource::retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) {
    if (credential.retire == RetireClass::Expires && !ends_consent()) {
        return done({End::LeftToExpire, "Google cannot take it back alone, so it ends at its own time"});
    }
    if (!ends_consent()) {
        return done({End::LeftToExpire, "revoking it at Google would end the user's whole consent, so it ends at its "
                                        "own time; on_exit = \"revoke\" does end the consent"});
    }
    // Not yet, rather than left to expire: its way back stays in the journal until the mission is over.
    if (cause != RetireCause::MissionEnd) {
        return done({End::NotYet, "it ends with the user's consent, which is revoked at the mission's end"});
    }
    revoke_consent([is_child = has_boundary(), done = std::move(done)](RetireOutcome outcome) {
        if (is_child && outcome.end == End::Gone) {
            outcome = {End::LeftToExpire, outcome.detail + "; this token ends at its own time at the latest"};
        }
        done(std::move(outcome));
    });
}

void GoogleSource::end_mission(std::function<void()> done) {
    if (!ends_consent() || !was_asked_) return done();
    revoke_consent([done = std::move(done)](const RetireOutcome&) { done(); });
}

// Once, for all that ask: a second request would find a token that Google does not know any more.
void GoogleSource::revoke_consent(Completion<RetireOutcome> done) {
    if (revocation_) return done(*revocation_);
    revoking_.push_back(std::move(done));
    if (revoking_.size() > 1) return;
    refresh_token_->use([this](Result<SubjectToken::Use> use) {
        if (!use) return take_revocation({End::NotYet, "the user's consent was not revoked: " + use.error().what});
        const auto held = std::make_shared<SubjectToken::Use>(std::move(*use));
        http_.send(revocation_request(held->token()), [this, held](const Result<HttpResponse>& response) {
            held->release();
            Retirement sent;
            sent.provider = "Google";
            sent.also_gone.push_back({kUnknownToken, {}});
            RetireOutcome outcome = outcome_of(sent, response);
            if (outcome.end == End::Gone) outcome.detail = "the user's consent is revoked at Google";
            take_revocation(outcome);
        });
    });
}

void GoogleSource::take_revocation(const RetireOutcome& outcome) {
    if (outcome.end == End::Gone) revocation_ = outcome;
    const std::vector<Completion<RetireOutcome>> waiting = std::exchange(revoking_, {});
    for (const Completion<RetireOutcome>& told : waiting) told(outcome);
}

std::unique_ptr<Retirement> GoogleSource::retirement(const Credential& credential) const {
    if (!ends_consent() || has_boundary()) return nullptr;
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = "Google, with the user's consent,";
    retirement->request = revocation_request(credential.secret);
    retirement->also_gone.push_back({kUnknownToken, {}});
    return retirement;
}

}  // namespace sanctum::vault
