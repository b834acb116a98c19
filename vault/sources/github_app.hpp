// SPDX-License-Identifier: Apache-2.0
// `github-app`: an installation token of a GitHub App, limited at its birth to the repositories and permissions of one
// need, and revoked with itself. https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/http/provider_clock.hpp"
#include "vault/oauth/signed_jwt.hpp"
#include "vault/sources/source.hpp"

namespace sanctum::vault {

class GithubAppSource final : public Source {
public:
    /// `key`: of the app. References must outlive the source.
    GithubAppSource(HttpClient& http, const Clock& clock, profiles::Account account, SigningKey key)
        : http_(http), clock_(clock), github_clock_(clock), account_(std::move(account)), key_(std::move(key)) {}

    [[nodiscard]] Capabilities capabilities() const override;
    /// The resource `repo` of the need names the repositories, `owner/name`; all of one installation have one owner.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// A token is revoked with itself: that is all that the reaper needs.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    enum class Attempt : bool { First, Corrected };
    void mint(const SourceNeed& need, const std::string& body, Attempt attempt, Completion<Fetched> done);
    void take(const SourceNeed& need, const HttpResponse& response, Completion<Fetched> done);
    void refuse(const Credential& made, SourceFailure failure, Completion<Fetched> done);
    [[nodiscard]] SourceFailure refusal(const HttpResponse& response) const;
    [[nodiscard]] SourceFailure failure(SourceFault fault, const std::string& what) const;

    HttpClient& http_;
    const Clock& clock_;
    ProviderClock github_clock_;
    profiles::Account account_;
    SigningKey key_;
};

/// `{"repositories":[…],"permissions":{…}}`: what the token may at most do. Errors: those of github_ask(). Pure.
[[nodiscard]] Result<std::string> installation_token_body(const profiles::ProviderAccount& account,
                                                          const SourceNeed& need);

}  // namespace sanctum::vault
