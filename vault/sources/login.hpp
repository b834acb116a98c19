// SPDX-License-Identifier: Apache-2.0
// `login`: the OAuth login of an agent with a subscription. Its tokens come from `sanctum connect` (the account's item)
// or from a login that the agent itself does within the mission; they are renewed here, and the agent has placeholders.
#pragma once

#include "profiles/schema/mission.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/oauth/login_exchange.hpp"
#include "vault/oauth/subject_token.hpp"
#include "vault/sources/source.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

class LoginSource final : public Source {
public:
    /// `stored`: the refresh token that `sanctum connect` left; null: there is none. A login of the agent's takes its
    /// place until the mission ends, and is never stored.
    LoginSource(HttpClient& http, const Clock& clock, profiles::Account account, profiles::Login login,
                std::shared_ptr<SubjectToken> stored);

    [[nodiscard]] Capabilities capabilities() const override;
    /// The access token of the login that is held; renewed first where it is about to end, or is the one that the API
    /// refused. All needs share it: these providers narrow nothing.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    [[nodiscard]] bool is_current(const Credential& credential) const override;
    [[nodiscard]] bool asks_for_login(const LoginQuestion& question) const override;
    void login(const LoginQuestion& question, Completion<LoginOutcome> done) override;
    /// A login of this mission is taken back where the provider can; the stored one and access tokens are left.
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    void end_mission(std::function<void()> done) override;
    /// With the refresh token as it is now, not as it was when the login was new.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    struct Held {
        LoginTokens tokens;
        std::optional<WallTime> expires;
    };
    using Renewed = std::function<void(const SourceFailure* failure)>;

    [[nodiscard]] bool has_login() const { return !active_.empty() || stored_ != nullptr; }
    [[nodiscard]] bool is_fresh() const;
    [[nodiscard]] bool is_refused(const SourceNeed& need) const;
    [[nodiscard]] Credential held_credential(const SourceNeed& need) const;
    [[nodiscard]] LoginReply reply() const;
    [[nodiscard]] LoginOutcome refused(const SourceFailure& failure) const;
    [[nodiscard]] SourceFailure taken_back() const;
    [[nodiscard]] std::string title() const { return "login at " + account_.catalog; }
    void log_in(const LoginQuestion& question, Completion<LoginOutcome> done);
    void renew(Renewed done);
    /// `held`: the stored token's use; null: the token is of a login within the mission.
    void renew_with(const Secret& token, const std::shared_ptr<SubjectToken::Use>& held);
    [[nodiscard]] Status keep(const std::string& handle, const std::shared_ptr<SubjectToken::Use>& held,
                              const Secret& next);
    void finish_renewal(const SourceFailure* failure);
    void take_back(const std::string& handle, Completion<RetireOutcome> done);
    void ask(HttpRequest request, Completion<std::variant<LoginTokens, SourceFailure>> done);
    void hold(LoginTokens tokens);

    HttpClient& http_;
    const Clock& clock_;
    profiles::Account account_;
    profiles::Login login_;
    std::shared_ptr<SubjectToken> stored_;
    std::optional<Held> held_;
    std::map<std::string, Secret> captured_;  ///< refresh tokens of this mission's own logins, by handle
    std::string active_;                      ///< the one in use; empty: the stored one
    std::uint64_t counted_ = 0;
    BootTime renewed_;
    std::vector<Renewed> waiting_;            ///< for the one renewal under way
};

}  // namespace sanctum::vault
