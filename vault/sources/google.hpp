// SPDX-License-Identifier: Apache-2.0
// `google`: a token of Google's for a user (refresh token) or a service account (RFC 7523), no wider than the need, and
// for Cloud Storage exchanged for one with a Credential Access Boundary.
//
// Revoking any token of a user at Google ends the user's whole consent, with every token of every mission; so nothing
// is revoked but the consent itself, at the mission's end, and only where the operator wrote `on_exit = "revoke"`.
// https://developers.google.com/identity/protocols/oauth2/web-server
#pragma once

#include "profiles/schema/operator_config.hpp"
#include "vault/oauth/service_account.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/oauth/token_endpoint.hpp"
#include "vault/sources/source.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace sanctum::vault {

inline constexpr std::string_view kGoogleRevocationEndpoint = "https://oauth2.googleapis.com/revoke";
inline constexpr std::string_view kGoogleExchangeEndpoint = "https://sts.googleapis.com/v1/token";

/// The client of a `google` account, as `[provider.NAME]` would describe it.
[[nodiscard]] profiles::IdentityClient google_client(const profiles::Account& account);

class GoogleSource final : public Source {
public:
    /// For a user: `refresh_token` is the account's. `http` must outlive the source.
    GoogleSource(std::shared_ptr<TokenEndpoint> google, HttpClient& http, profiles::Account account,
                 std::shared_ptr<SubjectToken> refresh_token);
    /// For a service account.
    GoogleSource(std::shared_ptr<TokenEndpoint> google, HttpClient& http, profiles::Account account,
                 ServiceAccount robot);
    ~GoogleSource() override;

    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    /// Where the account has a boundary: the exchange at Google's STS. The wider token is dropped with it.
    void attenuate(const SourceNeed& need, Credential credential, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// `on_exit = "revoke"`: the consent ends also where no lease was held at the end.
    void end_mission(std::function<void()> done) override;
    /// `on_exit = "revoke"`: any token of the consent revokes it, and that needs nothing of the store.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    [[nodiscard]] bool has_boundary() const { return !account_.provider.boundary.empty(); }
    [[nodiscard]] bool ends_consent() const { return !robot_ && account_.on_exit == "revoke"; }
    void sign_in(const SourceNeed& need, Completion<Fetched> done);
    [[nodiscard]] Fetched narrowed(const Credential& parent, std::vector<std::string> asked,
                                   TokenOutcome outcome) const;
    void revoke_consent(Completion<RetireOutcome> done);
    void take_revocation(const RetireOutcome& outcome);

    std::shared_ptr<TokenEndpoint> google_;
    HttpClient& http_;
    profiles::Account account_;
    std::unique_ptr<Source> user_;             ///< asks with the refresh token; null for a service account
    std::shared_ptr<SubjectToken> refresh_token_;
    std::optional<ServiceAccount> robot_;
    bool was_asked_ = false;                   ///< something of the consent was used
    std::optional<RetireOutcome> revocation_;  ///< how ending the consent ended
    std::vector<Completion<RetireOutcome>> revoking_;
};

}  // namespace sanctum::vault
