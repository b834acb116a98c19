// SPDX-License-Identifier: Apache-2.0
// `kubernetes`: a token of a service account, for the audiences and the time of one lease, bound to a Secret that is
// made for it alone. Deleting the Secret ends the token; servers that only check its signature do not notice.
// https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
#pragma once

#include "base/clock.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"
#include "vault/sources/source.hpp"

#include <map>
#include <memory>
#include <string>

namespace sanctum::vault {

class KubernetesSource final : public Source {
public:
    /// `caller`: who asks for tokens, a bearer token, or the private key (PEM) of the account's certificate. References
    /// must outlive the source.
    KubernetesSource(HttpClient& http, const Clock& clock, profiles::Account account, Secret caller);

    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    /// With `retire_as` a token that may delete the Secret and ends with it; the caller's own is never handed on.
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    struct Work;  ///< one acquire
    using WorkPtr = std::shared_ptr<Work>;
    /// The Secret that a token is bound to; by its name.
    struct Hold {
        std::string uid;  ///< empty: its answer was lost
        Secret deleter;   ///< token of `retire_as`; empty: none
    };
    enum class Step : std::uint8_t { MakeSecret, AskToken, AskDeleter };

    [[nodiscard]] const profiles::KubernetesAccount& cluster() const { return account_.kubernetes; }
    [[nodiscard]] HttpRequest request(const std::string& method, const std::string& path) const;
    [[nodiscard]] HttpRequest token_request(const Work& work, Step step) const;
    [[nodiscard]] Retirement deletion(const std::string& name, const std::string& uid) const;
    void make_secret(const WorkPtr& work);
    void ask_token(const WorkPtr& work);
    void ask_deleter(const WorkPtr& work);
    void give_up(const WorkPtr& work, SourceFailure failure);
    [[nodiscard]] std::optional<SourceFailure> take_token(Work& work, const HttpResponse& response) const;
    [[nodiscard]] std::optional<SourceFailure> check_claims(const Work& work, const Secret& token) const;
    [[nodiscard]] SourceFailure refusal(Step step, const HttpResponse& response) const;
    [[nodiscard]] SourceFailure failure(SourceFault fault, const std::string& what) const;
    [[nodiscard]] SourceFailure failure_of_error(const Error& error) const;

    HttpClient& http_;
    const Clock& clock_;
    profiles::Account account_;
    Secret token_;                    ///< the caller's; empty with a certificate
    network::ClientCertificate certificate_;  ///< the caller's; empty with a token
    std::map<std::string, Hold> holds_;
};

}  // namespace sanctum::vault
