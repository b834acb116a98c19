// SPDX-License-Identifier: Apache-2.0
// `aws-sts`: a session of a role, limited at its birth by a session policy to what the mission may do. AWS has no call
// that ends a session: it is as short as it can be, and ends by itself.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
#pragma once

#include "base/sigv4.hpp"
#include "profiles/schema/operator_config.hpp"
#include "vault/http/http_client.hpp"
#include "vault/http/provider_clock.hpp"
#include "vault/http/xml_answer.hpp"
#include "vault/sources/session_policy.hpp"
#include "vault/sources/source.hpp"

#include <string>
#include <vector>

namespace sanctum::vault {

class AwsStsSource final : public Source {
public:
    /// `keys`: the long-lived pair that may assume the role. `bounds`: what the mission may touch through this account.
    /// References must outlive the source.
    AwsStsSource(HttpClient& http, const Clock& clock, profiles::Account account, sigv4::Keys keys,
                 std::vector<ResourceBounds> bounds)
        : http_(http), clock_(clock), sts_clock_(clock), account_(std::move(account)), keys_(std::move(keys)),
          bounds_(std::move(bounds)) {}

    [[nodiscard]] Capabilities capabilities() const override;
    /// One session for a set of scopes, for all resources that the mission may touch: a session for each object would
    /// cost a call to STS for each.
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    /// Always LeftToExpire.
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;

private:
    /// What is asked, once more where the first try showed that our clock is wrong.
    struct Question {
        SourceNeed need;
        std::vector<std::string> actions;
        std::string policy;
        bool is_second = false;
    };
    void ask(Question question, Completion<Fetched> done);
    [[nodiscard]] Result<HttpRequest> make_request(const SourceNeed& need, const std::string& policy) const;
    [[nodiscard]] Fetched take(const std::vector<std::string>& actions, const HttpResponse& response) const;
    [[nodiscard]] SourceFailure refusal(const HttpResponse& response) const;
    [[nodiscard]] SourceFailure failure(SourceFault fault, const std::string& what) const;

    HttpClient& http_;
    const Clock& clock_;
    ProviderClock sts_clock_;
    profiles::Account account_;
    sigv4::Keys keys_;
    std::vector<ResourceBounds> bounds_;
};

}  // namespace sanctum::vault
