// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/auth0.hpp"

#include "base/log.hpp"
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

// What came from the vault, checked against what was asked.
Fetched to_credential(const profiles::Account& account, const SourceNeed& need, TokenAnswer answer, WallTime now) {
    auto scopes = check_scopes(account, provider_scopes(account.provider, need.scopes), answer.scopes);
    if (auto* failure = std::get_if<SourceFailure>(&scopes)) return std::move(*failure);
    Credential credential;
    credential.secret = std::move(answer.access_token);
    credential.scopes = std::get<ScopeReport>(std::move(scopes));
    credential.retire = RetireClass::Expires;
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
        form.add("subject_token", subject_.reveal());
        form.add("requested_token_type", kFederatedToken);
    }
    form.add("connection", provider.connection);
    form.add_if("login_hint", provider.login_hint);
    if (provider.asks_scopes) form.add_if("scope", join_scopes(provider_scopes(provider, need.scopes)));
    return form;
}

void Auth0Source::acquire(const SourceNeed& need, Completion<Fetched> done) {
    was_asked_ = true;
    const TokenQuestion question{tenant_->identity().title(), account_.name, account_.provider.connection,
                                 SourceFault::SubjectExpired, account_.provider.how == "refresh-token",
                                 account_.provider.how == "worker"};
    const auto make = [this, need](WallTime now) { return make_form(need, now); };
    tenant_->ask(make, question, [this, need, done = std::move(done)](TokenOutcome outcome) {
        if (auto* failure = std::get_if<SourceFailure>(&outcome)) return done(std::move(*failure));
        Fetched fetched = to_credential(account_, need, std::get<TokenAnswer>(std::move(outcome)), tenant_->our_time());
        if (fetched) fetched->remark = tenant_->clock_remark();
        done(std::move(fetched));
    });
}

void Auth0Source::retire(const Credential& /*credential*/, RetireCause cause, Completion<RetireOutcome> done) {
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

std::unique_ptr<Retirement> Auth0Source::retirement(const Credential& /*credential*/) const {
    if (!revokes_subject()) return nullptr;
    auto retirement = tenant_->retirement(subject_, "refresh_token");
    if (retirement) retirement->leaves = std::string(kShared) + std::string(kSubjectRevoked);
    return retirement;
}

std::string Auth0Source::why_no_retirement(const Credential& /*credential*/) const {
    return revokes_subject() ? tenant_->identity().why_no_reaper() : std::string();
}

}  // namespace sanctum::vault
