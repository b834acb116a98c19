// SPDX-License-Identifier: Apache-2.0
#include "vault/sources/login.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "vault/retirement.hpp"

#include <utility>

namespace sanctum::vault {
namespace {

constexpr std::string_view kHandle = "login-";

}  // namespace

LoginSource::LoginSource(HttpClient& http, const Clock& clock, profiles::Account account, profiles::Login login,
                         std::shared_ptr<SubjectToken> stored)
    : http_(http), clock_(clock), account_(std::move(account)), login_(std::move(login)), stored_(std::move(stored)) {}

Capabilities LoginSource::capabilities() const {
    Capabilities capabilities;
    capabilities.mints = true;
    capabilities.retire = RetireClass::Expires;
    return capabilities;
}

bool LoginSource::is_fresh() const {
    if (!held_) return false;
    const std::int64_t until = clock_.wall().unix_ms + Milliseconds(kLoginRenewBefore).count();
    return !held_->expires || held_->expires->unix_ms > until;
}

// Another need's refusal may have renewed it already.
bool LoginSource::is_refused(const SourceNeed& need) const {
    if (need.refused.empty() || !held_) return false;
    return wire::to_hex(sha256(held_->tokens.answer.access_token.reveal())) == need.refused;
}

Credential LoginSource::held_credential(const SourceNeed& need) const {
    Credential credential;
    credential.secret = held_->tokens.answer.access_token.duplicate();
    credential.scopes.asked = need.scopes;
    credential.retire = RetireClass::Expires;
    credential.expires = held_->expires;
    return credential;
}

LoginReply LoginSource::reply() const {
    const std::int64_t left = held_->expires ? held_->expires->unix_ms - clock_.wall().unix_ms : 0;
    return {200, login_reply(held_->tokens, Milliseconds(left)), std::nullopt};
}

// What the provider itself says no to, the agent may hear: it then asks its user to log in.
LoginOutcome LoginSource::refused(const SourceFailure& failure) const {
    const bool is_no = failure.fault != SourceFault::Unavailable && failure.fault != SourceFault::RateLimited;
    if (failure.error.empty() || !is_no) return failure;
    return LoginReply{400, login_refusal(failure.error, failure.description), std::nullopt};
}

SourceFailure LoginSource::taken_back() const {
    return {SourceFault::Failed, "account " + account_.name + ": the login was taken back", Milliseconds(0)};
}

void LoginSource::acquire(const SourceNeed& need, Completion<Fetched> done) {
    if (is_fresh() && !is_refused(need)) return done(held_credential(need));
    if (!has_login()) {
        return done(SourceFailure{SourceFault::NotFound,
                                  "account " + account_.name + ": nobody has logged in yet; the agent does it by "
                                      "itself, or `sanctum connect " + account_.name + "` before the mission",
                                  Milliseconds(0)});
    }
    renew([this, need, done = std::move(done)](const SourceFailure* failure) {
        if (failure != nullptr) return done(*failure);
        if (!held_) return done(taken_back());
        done(held_credential(need));
    });
}

bool LoginSource::is_current(const Credential& credential) const {
    if (!credential.handle.empty()) return true;
    return held_ && held_->tokens.answer.access_token.equals(credential.secret);
}

bool LoginSource::asks_for_login(const LoginQuestion& question) const {
    const bool was_renewed_just_now =
        held_ && is_fresh() && clock_.boot() < renewed_.plus(Milliseconds(kLoginRenewPause));
    // What a renewal that is under way brings belongs to whoever began it.
    return question.is_new || (has_login() && !was_renewed_just_now && waiting_.empty());
}

void LoginSource::login(const LoginQuestion& question, Completion<LoginOutcome> done) {
    if (question.is_new) return log_in(question, std::move(done));
    if (!has_login()) {
        return done(LoginReply{400, login_refusal("invalid_grant", "Nobody is logged in."), std::nullopt});
    }
    const bool joins = !waiting_.empty();
    if (!joins && !asks_for_login(question)) return done(reply());
    renew([this, joins, done = std::move(done)](const SourceFailure* failure) {
        if (failure != nullptr) return done(refused(*failure));
        if (!held_) return done(taken_back());
        LoginReply told = reply();
        SourceNeed renewal;
        renewal.scopes = {std::string(kRenewalScope)};
        if (!joins) told.made = held_credential(renewal);
        done(std::move(told));
    });
}

void LoginSource::log_in(const LoginQuestion& question, Completion<LoginOutcome> done) {
    ask(login_request(login_, "authorization_code", {question.members.begin(), question.members.end()}),
        [this, done = std::move(done)](std::variant<LoginTokens, SourceFailure> outcome) {
            if (const auto* failure = std::get_if<SourceFailure>(&outcome)) return done(refused(*failure));
            auto& tokens = std::get<LoginTokens>(outcome);
            if (tokens.answer.refresh_token.is_empty()) {
                return done(SourceFailure{SourceFault::Protocol,
                                          "account " + account_.name + ": " + title() + " gave no refresh token",
                                          Milliseconds(0)});
            }
            active_ = std::string(kHandle) + std::to_string(++counted_);
            Credential made;
            made.secret = tokens.answer.refresh_token.duplicate();
            made.scopes.asked = {std::string(profiles::kLoginScope)};
            made.scopes.received = tokens.answer.scopes;
            made.handle = active_;
            made.retire = login_.revocation_endpoint.empty() ? RetireClass::Expires : RetireClass::Self;
            captured_[active_] = std::move(tokens.answer.refresh_token);
            hold(std::move(tokens));
            LoginReply told = reply();
            told.made = std::move(made);
            done(std::move(told));
        });
}

// One at a time: a refresh token that is used twice may end the login (RFC 9700 4.14.2).
void LoginSource::renew(Renewed done) {
    waiting_.push_back(std::move(done));
    if (waiting_.size() > 1) return;
    if (!active_.empty()) {
        // Not stored: the journal's sealed retirement is what a crash needs of it, and is written before it is used.
        return renew_with(captured_.at(active_), nullptr);
    }
    stored_->use([this](Result<SubjectToken::Use> use) {
        if (!use) {
            const Fetched failed(std::move(use).error());
            return finish_renewal(&failed.failure());
        }
        const auto held = std::make_shared<SubjectToken::Use>(std::move(*use));
        if (Status ready = held->sending(); !ready) {
            const SourceFailure unusable = unusable_now(account_.name, ready.error());
            return finish_renewal(&unusable);
        }
        renew_with(held->token(), held);
    });
}

// Durable before the access token is used: the old refresh token may be dead already.
Status LoginSource::keep(const std::string& handle, const std::shared_ptr<SubjectToken::Use>& held,
                         const Secret& next) {
    if (held) return held->answered(next);
    const auto found = captured_.find(handle);
    if (found != captured_.end() && !next.is_empty()) found->second = next.duplicate();
    return {};
}

void LoginSource::renew_with(const Secret& token, const std::shared_ptr<SubjectToken::Use>& held) {
    ask(login_request(login_, "refresh_token", {{"refresh_token", token.reveal()}}),
        [this, held, was = active_](std::variant<LoginTokens, SourceFailure> outcome) {
            if (const auto* failure = std::get_if<SourceFailure>(&outcome)) {
                if (held && !failure->leaves_an_orphan()) static_cast<void>(held->not_taken());
                return finish_renewal(failure);
            }
            auto& tokens = std::get<LoginTokens>(outcome);
            if (const Status kept = keep(was, held, tokens.answer.refresh_token); !kept) {
                const SourceFailure lost{SourceFault::Failed,
                                         "account " + account_.name + ": the new refresh token is lost: " +
                                             kept.error().what,
                                         Milliseconds(0)};
                return finish_renewal(&lost);
            }
            // A login that came meanwhile is newer than this.
            if (was == active_) hold(std::move(tokens));
            finish_renewal(nullptr);
        });
}

void LoginSource::finish_renewal(const SourceFailure* failure) {
    const std::vector<Renewed> waiting = std::exchange(waiting_, {});
    for (const Renewed& done : waiting) done(failure);
}

void LoginSource::ask(HttpRequest request, Completion<std::variant<LoginTokens, SourceFailure>> done) {
    const TokenQuestion question{title(), account_.name, "", SourceFault::ConsentLost};
    http_.send(std::move(request), [this, question, done = std::move(done)](const Result<HttpResponse>& response) {
        if (!response) return done(failure_of(response.error(), question));
        done(read_login_answer(*response, login_, question));
    });
}

void LoginSource::hold(LoginTokens tokens) {
    Held held;
    held.tokens = std::move(tokens);
    held.tokens.answer.refresh_token = Secret();  // it is where it belongs already
    const auto& life = held.tokens.answer.expires_in;
    if (life) held.expires = WallTime{clock_.wall().unix_ms + life->count()};
    held_ = std::move(held);
    renewed_ = clock_.boot();
}

void LoginSource::retire(const Credential& credential, RetireCause /*cause*/, Completion<RetireOutcome> done) {
    if (!captured_.contains(credential.handle)) {
        return done({RetireOutcome::End::LeftToExpire, "it ends at its own time"});
    }
    // A renewal under way is about to put another refresh token in the place of this one.
    if (active_ == credential.handle && !waiting_.empty()) {
        waiting_.push_back([this, handle = credential.handle, done = std::move(done)](const SourceFailure*) {
            take_back(handle, done);
        });
        return;
    }
    take_back(credential.handle, std::move(done));
}

void LoginSource::take_back(const std::string& handle, Completion<RetireOutcome> done) {
    const auto found = captured_.find(handle);
    if (found == captured_.end()) return done({RetireOutcome::End::Gone, "taken back before"});
    const Secret token = std::move(found->second);
    captured_.erase(found);
    if (active_ == handle) {
        active_.clear();
        held_.reset();
    }
    if (login_.revocation_endpoint.empty()) {
        return done({RetireOutcome::End::LeftToExpire, account_.catalog + " has no way to take a login back; our copy, "
                                                           "which was the only one, is dropped"});
    }
    http_.send(revocation_request(login_, token),
               [title = title(), done = std::move(done)](const Result<HttpResponse>& response) {
                   done(outcome_of(title, false, response));
               });
}

// A rotating token whose successor is on its way is waited for: without it the account's login would be lost.
void LoginSource::end_mission(std::function<void()> done) {
    if (waiting_.empty()) return done();
    waiting_.push_back([done = std::move(done)](const SourceFailure*) { done(); });
}

std::unique_ptr<Retirement> LoginSource::retirement(const Credential& credential) const {
    const auto found = captured_.find(credential.handle);
    if (found == captured_.end() || login_.revocation_endpoint.empty()) return nullptr;
    auto retirement = std::make_unique<Retirement>();
    retirement->provider = title();
    retirement->request = revocation_request(login_, found->second);
    return retirement;
}

}  // namespace sanctum::vault
