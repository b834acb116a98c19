// SPDX-License-Identifier: Apache-2.0
// `oauth`: any OAuth 2.0 provider, by refresh token (RFC 6749 6), client credentials (4.4) or exchange (RFC 8693).
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/source.hpp"

#include <memory>

namespace sanctum::vault {

class OauthSource final : public Source {
public:
    /// `subject`: the account's refresh token, or the token to exchange; null for client credentials.
    OauthSource(std::shared_ptr<TokenEndpoint> provider, profiles::Account account,
                std::shared_ptr<SubjectToken> subject)
        : provider_(std::move(provider)), account_(std::move(account)), subject_(std::move(subject)) {}

    /// What client credentials and an exchange make is ours alone and is revoked where the provider can; what a
    /// refresh token gives belongs to a consent, which revoking may end, so only `on_exit = "revoke"` does it.
    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// The whole request, where the client proves nothing, or by a secret that the operator lets the reaper have.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;
    [[nodiscard]] std::string why_no_retirement(const Credential& credential) const override;

private:
    [[nodiscard]] bool uses_refresh_token() const { return account_.provider.how == "refresh-token"; }
    [[nodiscard]] RetireClass retire_class() const;
    [[nodiscard]] Result<Form> make_form(const SourceNeed& need, const Secret& subject) const;
    [[nodiscard]] bool rotates() const;
    /// `held`: a refresh token that the answer may replace; null: the answer has none for us.
    void ask(const SourceNeed& need, const Secret& subject, const std::shared_ptr<SubjectToken::Use>& held,
             Completion<Fetched> done);
    [[nodiscard]] TokenQuestion question() const;
    void take(const SourceNeed& need, TokenAnswer answer, Completion<Fetched> done);
    void judge(const SourceNeed& need, TokenAnswer answer, const TokenBinding& binding, Completion<Fetched> done);
    void refuse(const TokenAnswer& answer, SourceFailure failure, Completion<Fetched> done);

    std::shared_ptr<TokenEndpoint> provider_;
    profiles::Account account_;
    std::shared_ptr<SubjectToken> subject_;
};

}  // namespace sanctum::vault
