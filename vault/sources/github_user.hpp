// SPDX-License-Identifier: Apache-2.0
// `github-app` with a user's consent: the user's token of the app, narrowed for each need to its repositories and
// permissions, and taken back by itself. The user's own token asks, and is given to nobody.
// https://docs.github.com/rest/apps/apps#create-a-scoped-access-token
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/http/provider_clock.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/github_scopes.hpp"
#include "vault/sources/github_tokens.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <string>
#include <variant>

namespace sanctum::vault {

class GithubUserSource final : public Source {
public:
    /// `github`: the app as a client; `user`: the item, as parse_github_item() reads it. References must outlive the
    /// source.
    GithubUserSource(HttpClient& http, const Clock& clock, std::shared_ptr<TokenEndpoint> github,
                     profiles::Account account, std::shared_ptr<SubjectToken> user)
        : http_(http), github_clock_(clock), github_(std::move(github)), account_(std::move(account)),
          user_(std::move(user)) {}

    [[nodiscard]] Capabilities capabilities() const override;
    /// A refresh ends all tokens that the user had from this app, those of other missions too. So the missions share
    /// one user's token, in the item, and it is refreshed only by who finds there the one that GitHub, asked about it,
    /// did not know any more.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// Taking a token back needs the app's secret: only where the operator lets the reaper have it.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;
    [[nodiscard]] std::string why_no_retirement(const Credential& credential) const override;

private:
    struct Asked {
        GithubAsk ask;
        std::string target;  ///< whose repositories
    };
    /// One acquire() under way.
    struct Asking {
        Asked asked;
        Completion<Fetched> done;
        int tokens_tried = 0;      ///< of the user's
        bool has_renewed = false;  ///< a need refreshes once
    };
    using AskingPtr = std::shared_ptr<Asking>;
    using TokensPtr = std::shared_ptr<const GithubTokens>;

    [[nodiscard]] std::variant<Asked, SourceFailure> asked_for(const SourceNeed& need) const;
    void find_token(const AskingPtr& asking, const TokensPtr& dead);
    void take_item(const AskingPtr& asking, const TokensPtr& dead, const std::shared_ptr<SubjectToken::Use>& held);
    void renew(const AskingPtr& asking, const std::shared_ptr<SubjectToken::Use>& held, GithubTokens old);
    void narrow(const AskingPtr& asking);
    void find_out_why(const AskingPtr& asking, const TokensPtr& sent);
    void take(const AskingPtr& asking, const TokensPtr& sent, const HttpResponse& response);
    void fail(const Asking& asking, SourceFailure failure) const;
    void refuse(const AskingPtr& asking, const Credential& made, SourceFailure failure);
    void describe(Credential& credential, const GithubTokens& parent) const;
    [[nodiscard]] bool has_other_than(const TokensPtr& dead) const;
    [[nodiscard]] HttpRequest request(std::string method, const std::string& path, Secret body) const;
    [[nodiscard]] std::unique_ptr<Retirement> taking_back(const Secret& token) const;
    [[nodiscard]] TokenQuestion question() const;
    [[nodiscard]] SourceFailure failure(SourceFault fault, const std::string& what) const;
    [[nodiscard]] SourceFailure refusal(const HttpResponse& response) const;
    [[nodiscard]] SourceFailure consent_lost() const;

    HttpClient& http_;
    ProviderClock github_clock_;  ///< the API's
    std::shared_ptr<TokenEndpoint> github_;
    profiles::Account account_;
    std::shared_ptr<SubjectToken> user_;
    TokensPtr tokens_;  ///< as they were last read or made; null: not yet
};

}  // namespace sanctum::vault
