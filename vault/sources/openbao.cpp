// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/openbao.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <utility>

namespace sanctum::vault {

struct OpenbaoSource::Work {
    SourceNeed need;
    Completion<Fetched> done;
    std::vector<std::string> policies;
    Milliseconds life{0};
    std::optional<BaoToken> login;  ///< approle
    std::optional<BaoToken> revoker;
    std::optional<BaoToken> child;
};

namespace {

// The shorter of the lives that are known.
Milliseconds shorter(Milliseconds one, Milliseconds other) {
    if (one.count() == 0) return other;
    return other.count() == 0 ? one : std::min(one, other);
}

}  // namespace

Capabilities OpenbaoSource::capabilities() const {
    Capabilities capabilities;
    capabilities.narrows_scopes = true;
    capabilities.mints = true;
    capabilities.retire = is_kv() ? RetireClass::None : RetireClass::Accessor;
    // A login of an AppRole lives as long as its role says; what hangs under it no longer than this.
    const bool is_reader = is_kv() && !is_approle();
    capabilities.life_max = is_reader ? Milliseconds(kSecretReaderLife) : kLeaseLifeMax + kRevokerMargin;
    return capabilities;
}

void OpenbaoSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    auto policies = api_.policies_for(need.scopes);
    if (auto* failure = std::get_if<SourceFailure>(&policies)) return done(std::move(*failure));
    const auto work = std::make_shared<Work>();
    work->need = need;
    work->done = std::move(done);
    work->policies = std::get<std::vector<std::string>>(std::move(policies));
    const Milliseconds left(need.wanted_until.unix_ms - clock_.wall().unix_ms);
    work->life = std::clamp(left, Milliseconds(1000), Milliseconds(kLeaseLifeMax));
    with_subject([this, work](const std::optional<SourceFailure>& failure) {
        if (failure) return work->done(*failure);
        if (is_approle()) return log_in(work);
        is_kv() ? make_child(work) : make_revoker(work);
    });
}

// --- what logs in -------------------------------------------------------------------------------------------------

void OpenbaoSource::with_subject(const Unwrapped& done) {
    if (!is_wrapped_) return done(std::nullopt);
    waiting_.push_back(done);
    if (waiting_.size() == 1) unwrap_subject();  // good for one use: the others wait for this one
}

// SECURITY: looked at before it is used. One that was used already, or that holds something else, was in other hands.
void OpenbaoSource::unwrap_subject() {
    http_.send(api_.look_at_wrapping(subject_), [this](Result<HttpResponse> look) {
        if (!look) return end_unwrapping(api_.failure_of_error(look.error()));
        if (const auto failure = api_.check_wrapping(*look)) return end_unwrapping(failure);
        http_.send(api_.unwrap(subject_), [this](Result<HttpResponse> response) {
            if (!response) return end_unwrapping(api_.failure_of_error(response.error()));
            auto held = api_.take_unwrapped(*response);
            if (auto* failure = std::get_if<SourceFailure>(&held)) return end_unwrapping(std::move(*failure));
            subject_ = std::get<Secret>(std::move(held));
            is_wrapped_ = false;
            end_unwrapping(std::nullopt);
        });
    });
}

void OpenbaoSource::end_unwrapping(const std::optional<SourceFailure>& failure) {
    std::optional<SourceFailure> told = failure;
    if (told) {  // nothing was made
        if (told->fault == SourceFault::NoAnswer) told->fault = SourceFault::Unavailable;
        told->may_be_out = false;
    }
    for (const Unwrapped& waiting : std::exchange(waiting_, {})) waiting(told);
}

void OpenbaoSource::log_in(const WorkPtr& work) {
    http_.send(api_.log_in(subject_), [this, work](Result<HttpResponse> response) {
        if (!response) return work->done(api_.failure_of_error(response.error()));
        auto login = api_.take_token(BaoStep::LogIn, *response);
        if (auto* failure = std::get_if<SourceFailure>(&login)) return work->done(std::move(*failure));
        work->login = std::get<BaoToken>(std::move(login));
        is_kv() ? make_child(work) : make_revoker(work);
    });
}

// --- tokens -------------------------------------------------------------------------------------------------------

// The revoker comes first: whatever is made after it can be given back.
void OpenbaoSource::make_revoker(const WorkPtr& work) {
    const BaoChild wish{{api_.bao().retire_policy}, work->life + Milliseconds(kRevokerMargin), 0};
    make_token(work, wish, [this, work](BaoToken token) {
        work->revoker = std::move(token);
        const auto wrong = api_.check_policies({api_.bao().retire_policy}, *work->revoker);
        if (wrong) return give_up(work, *wrong, true);
        make_child(work);
    });
}

void OpenbaoSource::make_child(const WorkPtr& work) {
    BaoChild wish{work->policies, work->life, api_.bao().uses};
    if (is_kv()) wish = {work->policies, std::min(work->life, Milliseconds(kSecretReaderLife)), 1};
    // With the last use of a token the server revokes the leases that it made: one use stays.
    if (api_.bao().engine == "dynamic") wish.uses = 2;
    make_token(work, wish, [this, work](BaoToken token) {
        work->child = std::move(token);
        const auto wrong = api_.check_policies(work->policies, *work->child);
        if (wrong) return give_up(work, that_may_be_out(*wrong), true);
        if (api_.bao().engine != "token") return read_secret(work);
        BaoSecret itself;
        itself.value = work->child->value.duplicate();
        work->done(to_credential(*work, std::move(itself)));
    });
}

void OpenbaoSource::make_token(const WorkPtr& work, const BaoChild& wish, const std::function<void(BaoToken)>& next) {
    const Secret& parent = work->login ? work->login->value : subject_;
    http_.send(api_.create(parent, wish, work->need), [this, work, next](Result<HttpResponse> response) {
        // A child whose answer was lost ends with an AppRole's login, and with nothing else.
        if (!response) return give_up(work, api_.failure_of_error(response.error()), work->login.has_value());
        auto token = api_.take_token(BaoStep::Create, *response);
        if (auto* failure = std::get_if<SourceFailure>(&token)) {
            return give_up(work, std::move(*failure), work->login.has_value());
        }
        next(std::get<BaoToken>(std::move(token)));
    });
}

// --- the secret ---------------------------------------------------------------------------------------------------

void OpenbaoSource::read_secret(const WorkPtr& work) {
    http_.send(api_.read(work->child->value), [this, work](Result<HttpResponse> response) {
        // What a lost answer made hangs under the child, and ends with it.
        if (!response) return give_up(work, api_.failure_of_error(response.error()), true);
        auto secret = api_.take_secret(*response);
        if (auto* failure = std::get_if<SourceFailure>(&secret)) return give_up(work, std::move(*failure), true);
        Credential credential = to_credential(*work, std::get<BaoSecret>(std::move(secret)));
        if (is_kv() && work->login) return end_login(work, std::move(credential));
        work->done(std::move(credential));
    });
}

// Nothing hangs under a login that has read a stored secret: it does not wait for the lease's end.
void OpenbaoSource::end_login(const WorkPtr& work, Credential credential) {
    const auto kept = std::make_shared<Credential>(std::move(credential));
    send_retirement(http_, api_.revoke_self(work->login->value), [work, kept](const RetireOutcome& outcome) {
        if (outcome.end == RetireOutcome::End::Gone) return work->done(std::move(*kept));
        const SourceFailure failure{SourceFault::Misconfigured,
                                    "account " + work->need.account + ": the login cannot be ended", Milliseconds(0)};
        work->done(after_clean_up(failure, outcome, true));
    });
}

std::vector<std::string> OpenbaoSource::accessors_of(const Work& work) const {
    if (work.login) return {work.login->accessor};  // its children end with it
    std::vector<std::string> accessors;
    for (const auto* token : {&work.child, &work.revoker}) {
        if (*token) accessors.push_back((*token)->accessor);
    }
    return accessors;
}

Credential OpenbaoSource::to_credential(const Work& work, BaoSecret secret) {
    Credential credential;
    credential.secret = std::move(secret.value);
    credential.username = secret.username;
    credential.scopes = {work.policies, work.child->policies, NarrowedBy::Both};
    credential.retire = capabilities().retire;
    if (is_kv()) return credential;
    Milliseconds life = shorter(work.child->life, secret.life);
    if (work.login) life = shorter(life, work.login->life);
    credential.expires = WallTime{clock_.wall().unix_ms + shorter(life, work.life).count()};
    credential.handle = secret.lease.empty() ? work.child->accessor : secret.lease;
    holds_[credential.handle] = {work.revoker->value.duplicate(), secret.lease, accessors_of(work)};
    return credential;
}

// FAIL-CLOSED: what was made by then does not stay, or is counted as alive.
void OpenbaoSource::give_up(const WorkPtr& work, SourceFailure failure, bool reaches_all) {
    std::unique_ptr<Retirement> undo;
    if (work->revoker) undo = api_.revoke(work->revoker->value, "", false, accessors_of(*work));
    else if (work->login) undo = std::make_unique<Retirement>(api_.revoke_self(work->login->value));
    if (!undo) return work->done(std::move(failure));
    send_retirement(http_, std::move(*undo), [work, failure = std::move(failure),
                                              reaches_all](const RetireOutcome& outcome) {
        work->done(after_clean_up(failure, outcome, reaches_all));
    });
}

// --- the end ------------------------------------------------------------------------------------------------------

std::unique_ptr<Retirement> OpenbaoSource::retirement_of(const Credential& credential, bool is_end) const {
    const auto hold = holds_.find(credential.handle);
    if (hold == holds_.end()) return nullptr;
    const bool all_of_path = is_end && api_.bao().revokes_prefix;
    return api_.revoke(hold->second.revoker, hold->second.lease, all_of_path, hold->second.accessors);
}

std::unique_ptr<Retirement> OpenbaoSource::retirement(const Credential& credential) const {
    return retirement_of(credential, true);
}

void OpenbaoSource::retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) {
    using End = RetireOutcome::End;
    if (is_kv()) return done({End::Gone, "our copy is gone; the stored secret itself stays valid"});
    auto undo = retirement_of(credential, cause == RetireCause::MissionEnd);
    if (!undo) return done({End::NotYet, "what revokes it is not known any more"});
    send_retirement(http_, std::move(*undo), [this, handle = credential.handle, done = std::move(done)](
                                                 const RetireOutcome& outcome) {
        if (outcome.end == End::Gone) holds_.erase(handle);
        done(outcome);
    });
}

}  // namespace sanctum::vault
