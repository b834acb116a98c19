// SPDX-License-Identifier: Apache-2.0
// `openbao`: OpenBao and HashiCorp Vault. A lease is read with a child token of its own, which has the policies of the
// need and no others, and ends with the lease.
//
//     login ─┬─ revoker   may revoke and nothing else; the reaper gets it, sealed to its key
//            └─ child     reads the secret, or is the credential itself
//
// The login is a token of the store, which stays, or an AppRole's, made for one lease: then all three end with it.
#pragma once

#include "base/clock.hpp"
#include "vault/sources/openbao_api.hpp"
#include "vault/sources/source.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::vault {

class OpenbaoSource final : public Source {
public:
    /// `subject`: the token or secret id of the account's item, or the wrapping token around it. References must
    /// outlive the source.
    OpenbaoSource(HttpClient& http, const Clock& clock, profiles::Account account, Secret subject)
        : http_(http), clock_(clock), api_(std::move(account)), subject_(std::move(subject)),
          is_wrapped_(api_.bao().is_wrapped) {}

    [[nodiscard]] Capabilities capabilities() const override;
    void acquire(const SourceNeed& need, Completion<Fetched> done) override;
    /// A stored secret (kv) stays valid; everything else ends: the lease first, so that the engine has done it when
    /// the server answers, then the tokens.
    void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) override;
    [[nodiscard]] std::unique_ptr<Retirement> retirement(const Credential& credential) const override;

private:
    struct Work;  ///< one acquire from its login to its end
    using WorkPtr = std::shared_ptr<Work>;
    /// What gives a lease back; by the credential's handle.
    struct Hold {
        Secret revoker;
        std::string lease;
        std::vector<std::string> accessors;
    };
    using Unwrapped = std::function<void(const std::optional<SourceFailure>&)>;

    [[nodiscard]] bool is_approle() const { return api_.bao().login == "approle"; }
    [[nodiscard]] bool is_kv() const { return api_.bao().engine == "kv"; }
    void with_subject(const Unwrapped& done);
    void unwrap_subject();
    void end_unwrapping(const std::optional<SourceFailure>& failure);
    void log_in(const WorkPtr& work);
    void make_revoker(const WorkPtr& work);
    void make_child(const WorkPtr& work);
    void make_token(const WorkPtr& work, const BaoChild& wish, const std::function<void(BaoToken)>& next);
    void read_secret(const WorkPtr& work);
    void end_login(const WorkPtr& work, Credential credential);
    [[nodiscard]] Credential to_credential(const Work& work, BaoSecret secret);
    void give_up(const WorkPtr& work, SourceFailure failure, bool reaches_all);
    [[nodiscard]] std::vector<std::string> accessors_of(const Work& work) const;
    [[nodiscard]] std::unique_ptr<Retirement> retirement_of(const Credential& credential, bool is_end) const;

    HttpClient& http_;
    const Clock& clock_;
    BaoApi api_;
    Secret subject_;
    bool is_wrapped_;  ///< subject_ is still the wrapping token
    std::vector<Unwrapped> waiting_;
    std::map<std::string, Hold> holds_;
};

}  // namespace sanctum::vault
