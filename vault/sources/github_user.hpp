// SPDX-License-Identifier: Apache-2.0
// `github-app` with a user's consent: the user's token of the app, narrowed for each need to its repositories and
// permissions, and taken back by itself. The user's own token asks, and is given to nobody.
// https://docs.github.com/rest/apps/apps#create-a-scoped-access-token
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/github_scopes.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <string>
#include <variant>

namespace sanctum::vault {

class GithubUserSource final : public Source {
public:
    /// `github`: the app as a client; `user`: the item, a refresh token (`ghr_…`) or a token that does not run out.
    GithubUserSource(HttpClient& http, std::shared_ptr<TokenEndpoint> github, profiles::Account account,
                     std::shared_ptr<SubjectToken> user)
        : http_(http), github_(std::move(github)), account_(std::move(account)), user_(std::move(user)) {}

    [[nodiscard]] Capabilities capabilities() const override;
    /// A refresh ends the tokens that the user had from this app, so one is asked for only where there is none that
    /// works: once more when GitHub does not know it any more, because another mission refreshed meanwhile.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// Taking a token back needs the app's secret: only where the operator lets the reaper have it.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;
    [[nodiscard]] std::string why_no_retirement(const Credential& credential) const override;

private:
    enum class Attempt : bool { First, WithFreshToken };
    struct Asked {
        GithubAsk ask;
        std::string target;  ///< whose repositories
    };

    [[nodiscard]] std::variant<Asked, SourceFailure> asked_for(const SourceNeed& need) const;
    void find_token(const Asked& asked, Attempt attempt, Completion<Fetched> done);
    void renew(const Asked& asked, Attempt attempt, const std::shared_ptr<SubjectToken::Use>& held,
               Completion<Fetched> done);
    void narrow(const Asked& asked, Attempt attempt, Completion<Fetched> done);
    void take(const Asked& asked, const HttpResponse& response, Completion<Fetched> done);
    void refuse(const Credential& made, SourceFailure failure, Completion<Fetched> done);
    [[nodiscard]] HttpRequest request(std::string method, const std::string& path, Secret body) const;
    [[nodiscard]] std::unique_ptr<Retirement> taking_back(const Secret& token) const;
    [[nodiscard]] TokenQuestion question() const;
    [[nodiscard]] SourceFailure failure(SourceFault fault, const std::string& what) const;
    [[nodiscard]] SourceFailure refusal(const HttpResponse& response) const;

    HttpClient& http_;
    std::shared_ptr<TokenEndpoint> github_;
    profiles::Account account_;
    std::shared_ptr<SubjectToken> user_;
    Secret user_token_;         ///< the last that worked; empty: none is known
    bool is_refreshed_ = false;  ///< it came of a refresh, and can come again
};

}  // namespace sanctum::vault
