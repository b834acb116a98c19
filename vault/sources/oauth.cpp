// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/oauth.hpp"

#include "base/limits.hpp"
#include "vault/oauth/scope_check.hpp"

namespace sanctum::vault {
namespace {

constexpr std::string_view kExchange = "urn:ietf:params:oauth:grant-type:token-exchange";
constexpr std::string_view kAccessToken = "urn:ietf:params:oauth:token-type:access_token";

}  // namespace

RetireClass OauthSource::retire_class() const {
    if (provider_->identity().client().revocation_endpoint.empty()) return RetireClass::Expires;
    if (uses_refresh_token() && account_.on_exit != "revoke") return RetireClass::KillsGrant;
    return account_.on_exit == "expire" ? RetireClass::Expires : RetireClass::Self;
}

Capabilities OauthSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = account_.provider.asks_scopes;
    capabilities.mints = true;
    capabilities.retire = retire_class();
    return capabilities;
}

Form OauthSource::make_form(const SourceNeed& need, const Secret& subject) const {
    const profiles::ProviderAccount& provider = account_.provider;
    Form form;
    if (provider.how == "client-credentials") {
        form.add("grant_type", "client_credentials");
    } else if (uses_refresh_token()) {
        form.add("grant_type", "refresh_token");
        form.add("refresh_token", subject.reveal());
    } else {
        form.add("grant_type", kExchange);
        form.add("subject_token", subject.reveal());
        form.add("subject_token_type", kAccessToken);
        form.add("requested_token_type", kAccessToken);
    }
    form.add_if("audience", provider.audience);
    form.add_if("resource", provider.resource);
    if (provider.asks_scopes) form.add_if("scope", join_scopes(provider_scopes(provider, need.scopes)));
    return form;
}

void OauthSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    if (!subject_) return ask(need, Secret(), {}, std::move(done));
    // The token is ours from here until the answer is taken: a rotating one may be used by one mission at a time.
    subject_->use([this, need, done = std::move(done)](Result<SubjectToken::Use> use) {
        if (!use) return done(std::move(use).error());
        const auto held = std::make_shared<SubjectToken::Use>(std::move(*use));
        if (Status ready = rotates() ? held->sending() : Status(); !ready) return done(not_sent(ready.error()));
        ask(need, held->token(), uses_refresh_token() ? held : nullptr, [held, done](Fetched fetched) {
            held->release();
            done(std::move(fetched));
        });
    });
}

// Google's stay what they are for ever; of others nobody knows before their first answer.
bool OauthSource::rotates() const { return uses_refresh_token() && account_.source != "google"; }

SourceFailure OauthSource::not_sent(const Error& why) const {
    const std::string account = "account " + account_.name + ": ";
    if (why.code != Errc::Denied) return {SourceFault::Failed, account + why.what, Milliseconds(0)};
    return {SourceFault::ConsentLost,
            account + why.what + " (a mission was killed just then, or the connection broke); the provider may have "
                                 "replaced it, and would end the whole consent if the old one came again, so it is not "
                                 "used any more: run `sanctum connect " + account_.name + "`",
            Milliseconds(0)};
}

void OauthSource::ask(const SourceNeed& need, const Secret& subject,
                      const std::shared_ptr<SubjectToken::Use>& held, Completion<Fetched> done) {
    const TokenQuestion question{provider_->identity().title(), account_.name, "",
                                 uses_refresh_token() ? SourceFault::ConsentLost : SourceFault::SubjectExpired,
                                 uses_refresh_token() && account_.source == "oauth"};
    const auto form = std::make_shared<Form>(make_form(need, subject));
    const auto make = [form](WallTime /*now*/) -> Result<Form> { return form->duplicate(); };
    provider_->ask(make, question, [this, need, held, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) {
            // What cannot be written now is found as "sent": the account must be connected again, and says so.
            if (held && !failure->leaves_an_orphan()) static_cast<void>(held->not_taken());
            return done(std::move(*failure));
        }
        auto& answer = std::get<TokenAnswer>(outcome);
        // Durable before the access token is used: the old one may be dead already.
        if (Status kept = held ? held->answered(answer.refresh_token) : Status(); !kept) {
            SourceFailure lost = not_sent(kept.error());
            lost.what += "; the new refresh token is lost";
            return done(that_may_be_out(std::move(lost)));
        }
        take(need, std::move(answer), done);
    });
}

void OauthSource::take(const SourceNeed& need, TokenAnswer answer, Completion<Fetched> done) {
    auto scopes = check_scopes(account_, provider_scopes(account_.provider, need.scopes), answer.scopes);
    if (auto* failure = std::get_if<SourceFailure>(&scopes)) {
        if (retire_class() != RetireClass::Self) return done(that_may_be_out(std::move(*failure)));
        // Made for us and of no use: it does not stay.
        return provider_->revoke(answer.access_token, "access_token",
                                 [failure = std::move(*failure), done](const RetireOutcome& outcome) {
                                     done(after_clean_up(failure, outcome, true));
                                 });
    }
    Credential credential;
    credential.secret = std::move(answer.access_token);
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    credential.retire = retire_class();
    credential.remark = provider_->clock_remark();
    if (answer.expires_in) credential.expires = WallTime{provider_->our_time().unix_ms + answer.expires_in->count()};
    done(std::move(credential));
}

void OauthSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    switch (credential.retire) {
        case RetireClass::Self: return provider_->revoke(credential.secret, "access_token", std::move(done));
        case RetireClass::KillsGrant:
            return done({End::LeftToExpire,
                         "revoking it could end the account's consent; on_exit = \"revoke\" does it"});
        default: return done({End::LeftToExpire, "it ends at its own time"});
    }
}

}  // namespace sanctum::vault
