// SPDX-License-Identifier: Apache-2.0
// `auth0`: the token that Auth0's Token Vault keeps for a user's connected account.
//
// What comes is the provider's own token, from a copy that Auth0 keeps until it runs out: others who ask for the same
// user get the same one. So it is never revoked; what can be taken back is the refresh token that it is asked for with:
// the mission's own, where the tenant has an exchange that makes one (`mission_token_type`), or the user's (`on_exit =
// "revoke"`), after which nobody gets anything with it any more.
// https://auth0.com/docs/secure/tokens/token-vault, https://auth0.com/docs/authenticate/custom-token-exchange
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/source.hpp"

#include <functional>
#include <memory>

namespace sanctum::vault {

class Auth0Source final : public Source {
public:
    /// `subject`: the user's refresh or access token; empty for a worker, and where missions get a token of their own.
    Auth0Source(std::shared_ptr<TokenEndpoint> tenant, profiles::Account account, Secret subject)
        : tenant_(std::move(tenant)), account_(std::move(account)), subject_(std::move(subject)) {}
    /// `user`: the user's refresh token, which is used for nothing but a mission's own (`mission_token_type`).
    Auth0Source(std::shared_ptr<TokenEndpoint> tenant, profiles::Account account, std::shared_ptr<SubjectToken> user)
        : tenant_(std::move(tenant)), account_(std::move(account)), user_(std::move(user)) {}

    /// It makes nothing of its own: an answer that is lost is asked for again.
    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    [[nodiscard]] std::optional<Capabilities> lacks_mission_token() const override;
    /// The user's refresh token gives an ID token, and that, in the tenant's Custom Token Exchange, a refresh token for
    /// this mission alone. The access tokens that come along, good for the user's own data at the tenant, are dropped;
    /// the credential's remark, or the failure, names each with its end, since Auth0 cannot take them back.
    /// A client whose refresh tokens rotate is refused (Misconfigured), with the user's new one kept in the store.
    /// NoAnswer, an orphan: already where the user's answer is lost, which held such a token.
    void make_mission_token(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// Revokes the user's refresh token where no lease of the mission's end did.
    void end_mission(std::function<void()> done) override;
    /// With `on_exit = "revoke"`: what revokes the user's refresh token, as OauthSource's; the credential lives on.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;
    [[nodiscard]] std::string why_no_retirement(const Credential& credential) const override;

private:
    [[nodiscard]] bool has_mission_token() const { return !account_.provider.mission_token_type.empty(); }
    [[nodiscard]] bool revokes_subject() const { return account_.on_exit == "revoke" && !has_mission_token(); }
    [[nodiscard]] Result<Form> make_form(const SourceNeed& need, WallTime now) const;
    [[nodiscard]] TokenQuestion question() const;
    void ask_for_id_token(const std::shared_ptr<SubjectToken::Use>& held, Completion<Fetched> done);
    void take_id_token(SubjectToken::Use& held, TokenAnswer answer, Completion<Fetched> done);
    void exchange_for_mission(const Secret& id_token, const std::string& user_token, Completion<Fetched> done);
    [[nodiscard]] Fetched to_mission_token(TokenAnswer answer, const std::string& user_token);
    [[nodiscard]] SourceFailure no_mission_token(const std::string& what) const;

    std::shared_ptr<TokenEndpoint> tenant_;
    profiles::Account account_;
    Secret subject_;
    std::shared_ptr<SubjectToken> user_;  ///< null: missions get no token of their own
    Secret mission_token_;      ///< empty: there is none (yet)
    bool was_asked_ = false;    ///< the tenant, for a token
    bool is_revoking_ = false;  ///< the subject, or it is revoked
};

}  // namespace sanctum::vault
