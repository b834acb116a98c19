// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/auth0.hpp"

#include "base/digest.hpp"
#include "base/log.hpp"
#include "base/wire/archive.hpp"
#include "vault/oauth/scope_check.hpp"
#include "vault/retirement.hpp"

namespace sanctum::vault {
namespace {

constexpr std::string_view kGrantType =
    "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";
constexpr std::string_view kFederatedToken = "http://auth0.com/oauth/token-type/federated-connection-access-token";
constexpr std::string_view kWorkerToken = "http://auth0.com/oauth/token-type/token-vault-access-token";

constexpr std::string_view kShared = "others may have the same token from Auth0, so it ends at its own time";
constexpr std::string_view kSubjectRevoked = "; the user's refresh token of this mission is revoked";

// What came beside a token that is kept: Auth0 takes back refresh tokens and nothing else.
// https://auth0.com/docs/secure/tokens/refresh-tokens/revoke-refresh-tokens
std::string dropped(std::string_view whose, const TokenAnswer& answer, WallTime now) {
    std::string told(whose);
    told += " access token that came along (SHA-256 ";
    told += wire::to_hex(sha256(answer.access_token.reveal()));
    told += ") was dropped at once, cannot be taken back and ends ";
    told += "at ";
    told += answer.expires_in ? format_rfc3339({now.unix_ms + answer.expires_in->count()}) : "a time of the tenant's";
    if (answer.id_token.is_empty()) return told;
    told += ", as does the ID token (SHA-256 ";
    told += wire::to_hex(sha256(answer.id_token.reveal()));
    told += ") at its own time";
    return told;
}

// `done`, with one sentence more for the record, whether a token of the mission came of it or not.
Completion<Fetched> that_tells(std::string more, Completion<Fetched> done) {
    return [more = std::move(more), done = std::move(done)](Fetched made) {
        if (!made) {
            SourceFailure failure = made.failure();
            failure.what += "; " + more;
            return done(std::move(failure));
        }
        made->remark += (made->remark.empty() ? "" : "; ") + more;
        done(std::move(made));
    };
}

// What came from the vault, checked against what was asked.
Fetched to_credential(const profiles::Account& account, const SourceNeed& need, TokenAnswer answer, WallTime now) {
    auto scopes = check_scopes(account, provider_scopes(account.provider, need.scopes), answer.scopes);
    if (auto* failure = std::get_if<SourceFailure>(&scopes)) return std::move(*failure);
    Credential credential;
    credential.secret = std::move(answer.access_token);
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    credential.retire = RetireClass::Expires;  // what tells it from a mission's own token
    if (answer.expires_in) credential.expires = WallTime{now.unix_ms + answer.expires_in->count()};
    return credential;
}

}  // namespace

Capabilities Auth0Source::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = account_.provider.asks_scopes;
    capabilities.retire = RetireClass::Expires;
    return capabilities;
}

Result<Form> Auth0Source::make_form(const SourceNeed& need, WallTime now) const {
    const profiles::ProviderAccount& provider = account_.provider;
    Form form;
    form.add("grant_type", kGrantType);
    if (provider.how == "worker") {
        // The mission's id stands in the tenant's own log beside the token's SHA-256.
        SANCTUM_TRY(const Secret subject, tenant_->identity().sign_for_user(provider.user, need.mission, now));
        form.add("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
        form.add("subject_token", subject.reveal());
        form.add("requested_token_type", kWorkerToken);
    } else {
        const bool is_access = provider.how == "access-token";
        form.add("subject_token_type", is_access ? "urn:ietf:params:oauth:token-type:access_token"
                                                 : "urn:ietf:params:oauth:token-type:refresh_token");
        form.add("subject_token", has_mission_token() ? mission_token_.reveal() : subject_.reveal());
        form.add("requested_token_type", kFederatedToken);
    }
    form.add("connection", provider.connection);
    form.add_if("login_hint", provider.login_hint);
    if (provider.asks_scopes) form.add_if("scope", join_scopes(provider_scopes(provider, need.scopes)));
    return form;
}

TokenQuestion Auth0Source::question() const {
    return {tenant_->identity().title(), account_.name, account_.provider.connection, SourceFault::SubjectExpired,
            account_.provider.how == "refresh-token", account_.provider.how == "worker"};
}

std::optional<Capabilities> Auth0Source::lacks_mission_token() const {
    if (!has_mission_token() || !mission_token_.is_empty()) return std::nullopt;
    Capabilities capabilities;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Self;  // how long one lives is a setting of the tenant
    return capabilities;
}

SourceFailure Auth0Source::no_mission_token(const std::string& what) const {
    return {SourceFault::Misconfigured,
            "account " + account_.name + ": " + tenant_->identity().title() + " gave no token of the mission: " + what,
            Milliseconds(0)};
}

// An ordinary use of the user's refresh token, so one mission at a time, and noted before it is sent: a tenant that
// rotates them ends the whole consent when an old one comes again.
void Auth0Source::make_mission_token(const SourceNeed& /*need*/, Completion<Fetched> done) {
    SANCTUM_ASSERT(user_);
    user_->use([this, done = std::move(done)](Result<SubjectToken::Use> use) {
        if (!use) {
            return done(SourceFailure{SourceFault::Failed, "account " + account_.name + ": " + use.error().what,
                                      Milliseconds(0)});
        }
        const auto held = std::make_shared<SubjectToken::Use>(std::move(*use));
        if (Status ready = held->sending(); !ready) return done(unusable_now(account_.name, ready.error()));
        ask_for_id_token(held, done);
    });
}

void Auth0Source::ask_for_id_token(const std::shared_ptr<SubjectToken::Use>& held, Completion<Fetched> done) {
    const auto make = [held](WallTime /*now*/) -> Result<Form> {
        Form form;
        form.add("grant_type", "refresh_token");
        form.add("refresh_token", held->token().reveal());
        form.add("scope", "openid");
        return form;
    };
    tenant_->ask(make, question(), [this, held, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) {
            // What cannot be written now is found as "sent": the account must be connected again, and says so.
            if (!failure->leaves_an_orphan()) static_cast<void>(held->not_taken());
            return done(std::move(*failure));
        }
        take_id_token(*held, std::get<TokenAnswer>(std::move(outcome)), done);
    });
}

void Auth0Source::take_id_token(SubjectToken::Use& held, TokenAnswer answer, Completion<Fetched> done) {
    done = that_tells(dropped("the user's", answer, tenant_->our_time()), std::move(done));
    const bool rotates = !answer.refresh_token.is_empty() && !answer.refresh_token.equals(held.token());
    if (!rotates) answer.refresh_token = Secret();
    const Status kept = held.answered(answer.refresh_token);
    const std::string user_token = wire::to_hex(sha256(held.token().reveal()));
    held.release();
    if (!kept) {
        SourceFailure lost = unusable_now(account_.name, kept.error());
        if (rotates) lost.what += "; the user's new refresh token is lost";
        return done(std::move(lost));
    }
    if (rotates) {
        return done(no_mission_token("it replaced the user's refresh token, which is kept in the store; switch "
                                     "refresh-token rotation off for the client"));
    }
    if (!answer.id_token.is_empty()) return exchange_for_mission(answer.id_token, user_token, std::move(done));
    done(no_mission_token("the user's token gives no ID token; log in with the scope openid (sanctum connect " +
                          account_.name + ")"));
}

void Auth0Source::exchange_for_mission(const Secret& id_token, const std::string& user_token,
                                       Completion<Fetched> done) {
    const auto form = std::make_shared<Form>();
    form->add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    form->add("subject_token_type", account_.provider.mission_token_type);
    form->add("subject_token", id_token.reveal());
    form->add("scope", "openid " + std::string(kMissionTokenScope));
    const auto make = [form](WallTime /*now*/) -> Result<Form> { return form->duplicate(); };
    tenant_->ask(make, question(), [this, user_token, done = std::move(done)](TokenOutcome outcome) {
        if (auto* answer = std::get_if<TokenAnswer>(&outcome)) {
            const std::string beside = dropped("the mission's", *answer, tenant_->our_time());
            return that_tells(beside, done)(to_mission_token(std::move(*answer), user_token));
        }
        auto& failure = std::get<SourceFailure>(outcome);
        if (!failure.error.empty()) {
            failure.what += "; look at the tenant's Custom Token Exchange profile for " +
                            account_.provider.mission_token_type + ", at its Action, and that the client may use it";
        }
        done(std::move(failure));
    });
}

// `user_token`: thumbprint of the user's own.
Fetched Auth0Source::to_mission_token(TokenAnswer answer, const std::string& user_token) {
    if (answer.refresh_token.is_empty()) {
        return that_may_be_out(no_mission_token("its answer holds no refresh token; switch the grant refresh_token on "
                                                "for the client"));
    }
    if (wire::to_hex(sha256(answer.refresh_token.reveal())) == user_token) {
        return no_mission_token("its answer holds the user's own refresh token, which would end with the mission");
    }
    Credential credential;
    credential.secret = std::move(answer.refresh_token);
    credential.scopes.asked = {std::string(kMissionTokenScope), "openid"};
    credential.scopes.received = std::move(answer.scopes);
    credential.retire = RetireClass::Self;
    credential.remark = tenant_->clock_remark();
    mission_token_ = credential.secret.duplicate();
    return credential;
}

void Auth0Source::acquire(const SourceNeed& need, Completion<Fetched> done) {
    was_asked_ = true;
    const auto make = [this, need](WallTime now) { return make_form(need, now); };
    tenant_->ask(make, question(), [this, need, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) {
            const bool is_of_mission = has_mission_token() && failure->fault == SourceFault::SubjectExpired;
            if (is_of_mission) failure->what += "; it is this mission's own token, and the next mission gets another";
            return done(std::move(*failure));
        }
        Fetched fetched = to_credential(account_, need, std::get<TokenAnswer>(std::move(outcome)), tenant_->our_time());
        if (fetched) fetched->remark = tenant_->clock_remark();
        done(std::move(fetched));
    });
}

void Auth0Source::retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) {
    if (credential.retire == RetireClass::Self) {
        mission_token_ = Secret();
        return tenant_->revoke(credential.secret, "refresh_token", std::move(done));
    }
    const auto shared = [](const std::string& more) {
        return RetireOutcome{RetireOutcome::End::LeftToExpire, std::string(kShared) + more};
    };
    if (cause != RetireCause::MissionEnd || !revokes_subject()) return done(shared(""));
    is_revoking_ = true;
    tenant_->revoke(subject_, "refresh_token", [shared, done = std::move(done)](const RetireOutcome& subject) {
        const bool is_gone = subject.end == RetireOutcome::End::Gone;
        done(shared(is_gone ? std::string(kSubjectRevoked)
                            : "; the user's refresh token of this mission may be alive: " + subject.detail));
    });
}

void Auth0Source::end_mission(std::function<void()> done) {
    if (!revokes_subject() || !was_asked_ || is_revoking_) return done();
    is_revoking_ = true;
    tenant_->revoke(subject_, "refresh_token", [done = std::move(done)](const RetireOutcome& subject) {
        if (subject.end != RetireOutcome::End::Gone) log::error(subject.detail);
        done();
    });
}

std::unique_ptr<Retirement> Auth0Source::retirement(const Credential& credential) const {
    if (credential.retire == RetireClass::Self) return tenant_->retirement(credential.secret, "refresh_token");
    if (!revokes_subject()) return nullptr;
    auto retirement = tenant_->retirement(subject_, "refresh_token");
    if (retirement) retirement->leaves = std::string(kShared) + std::string(kSubjectRevoked);
    return retirement;
}

std::string Auth0Source::why_no_retirement(const Credential& credential) const {
    const bool is_revoked = revokes_subject() || credential.retire == RetireClass::Self;
    return is_revoked ? tenant_->identity().why_no_reaper() : std::string();
}

}  // namespace sanctum::vault
