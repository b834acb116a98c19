// SPDX-License-Identifier: Apache-2.0
#include "vault/leases.hpp"

#include "base/digest.hpp"
#include "base/jose/dpop.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/mission_id.hpp"

#include <algorithm>
#include <charconv>

namespace sanctum::vault {

/// What makes two needs the same. Resources count only where the source can narrow to them.
struct Leases::Key {
    std::size_t service = 0;
    std::vector<std::string> scopes;
    std::map<std::string, std::vector<std::string>> resources;
    std::string risk;
    bool is_shared = false;
    bool operator==(const Key&) const = default;
};

/// An exchange that waits for an answer.
struct Waiter {
    std::uint64_t exchange = 0;
    bool wants_another = false;  ///< than the one that the upstream refused
};

struct Leases::Lease {
    std::uint64_t number = 0;
    Key key;
    LeaseRow row;
    SourceNeed source_need;
    Source* source = nullptr;
    Credential credential;
    BootTime expires;
    std::string remark;                  ///< of how the credential came, for the record of its end
    std::optional<BootTime> dead_at;     ///< the longest that the credential can live; absent: no end known
    std::vector<Waiter> waiters;
    std::string refused;                 ///< thumbprint of the credential that it replaces; empty: none was refused
    std::uint64_t refusals = 0;          ///< uses that the upstream answered with 401 and that did not end it
    bool was_handed_out = false;
    bool is_dirty = false;               ///< uses that the journal does not have yet
    bool is_login = false;               ///< what a login of the agent's made: given to nobody
    bool is_mission_token = false;       ///< stands for the account's owner in this mission: given to nobody

    [[nodiscard]] bool is_open() const { return !is_end(row.state) && row.state != LeaseState::Failed; }
    /// The source gave the very credential that the upstream had refused.
    [[nodiscard]] bool is_refused_again() const { return !refused.empty() && refused == row.thumbprint; }
};

namespace {

// Token, certificate and key as one, whose lengths the message says.
Secret join_certificate(const Credential& credential, wire::LeaseHeld& message) {
    const network::ClientCertificate& certificate = credential.certificate;
    message.certificate_bytes = static_cast<std::uint32_t>(certificate.certificate.size());
    message.key_bytes = static_cast<std::uint32_t>(certificate.key.size());
    std::string bytes;
    bytes.reserve(credential.secret.size() + certificate.certificate.size() + certificate.key.size());
    bytes.append(credential.secret.reveal()).append(certificate.certificate).append(certificate.key.reveal());
    Secret joined(bytes);
    wipe(bytes);
    return joined;
}

const profiles::Endpoint* endpoint_with_form(const profiles::Service& service) {
    for (const profiles::Endpoint& endpoint : service.endpoints) {
        if (endpoint.form != profiles::AuthForm::None) return &endpoint;
    }
    return nullptr;
}

std::optional<std::uint64_t> lease_number(std::string_view name) {
    std::uint64_t number = 0;
    if (!name.starts_with('l')) return std::nullopt;
    const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    return number;
}

constexpr std::uint16_t kUnauthorized = 401;
constexpr const char* kRefusedReason = "credential_refused";
constexpr const char* kRefusedAgain = "its source gave the same credential again";

// What is given to nobody and lasts as long as the mission.
wire::LeaseNeed own_need(const std::string& service, std::string_view scope) {
    wire::LeaseNeed need{};
    need.service = service;
    need.scopes = {std::string(scope)};
    need.risk = "medium";
    return need;
}

// SECURITY: an agent in a loop must not fill the provider with tokens that nobody knows.
SourceFailure too_many_lost(const std::string& account) {
    return {SourceFault::Misconfigured,
            "account " + account + ": " + std::to_string(kMissionTokensLostMax) +
                " tokens of this mission were made perhaps and could not be used; no further one is asked for, since "
                "a tenant drops a user's oldest ones when there are too many (the refusals before this one say why; "
                "revoke them at the tenant, and start another mission)",
            Milliseconds(0)};
}

// How long a failure stands before the source is asked again. What an agent in a loop would ask a hundred times is
// asked once; what may pass by itself is asked at once.
Milliseconds rest_after(const SourceFailure& failure, bool mints) {
    if (failure.retry_after.count() > 0) return std::min(failure.retry_after, Milliseconds(kSourceRestMax));
    switch (failure.fault) {
        case SourceFault::ConsentRequired:
        case SourceFault::ConsentLost:
        case SourceFault::SubjectExpired:
        case SourceFault::ScopeUnavailable:
        case SourceFault::ScopeTooWide: return kConsentRest;
        case SourceFault::Misconfigured: return kMisconfiguredRest;
        // Each further question may leave another credential that nobody can use or take back.
        default: return mints && failure.leaves_an_orphan() ? kOrphanRest : Milliseconds(0);
    }
}

}  // namespace

std::string credential_fault(std::string_view bytes) {
    if (bytes.empty()) return "it is empty";
    if (bytes.size() > kCredentialBytesMax) {
        return "it is longer than " + std::to_string(kCredentialBytesMax) + " bytes";
    }
    const bool has_control = std::any_of(bytes.begin(), bytes.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7f;
    });
    return has_control ? "it holds a line break or another control character" : "";
}

struct Leases::Failed {
    Key key;
    SourceFailure failure;
    BootTime until;
};

struct Leases::Refused {
    Key key;
    std::string thumbprint;
    BootTime until;
};

Leases::Leases(const profiles::Mission& mission, MissionEnd end, std::map<std::string, AccountSource> accounts,
               Journal& journal, const ReaperSeal& seal, const Clock& clock, LeaseListener& listener)
    : mission_(mission), end_(end), accounts_(std::move(accounts)), journal_(journal), seal_(seal), clock_(clock),
      listener_(listener) {}

Leases::~Leases() = default;

void Leases::refuse(const wire::LeaseNeed& need, const char* reason, const std::string& detail) {
    listener_.failed({need.exchange, reason, detail, 0});
}

// An approval is used up by the need that names it, whatever becomes of that need.
std::string Leases::approval_problem(const wire::LeaseNeed& need, profiles::Risk risk) {
    if (!need.approval.empty()) return approvals_.consume(need, clock_.boot());
    if (is_allowed_without_approval(mission_, risk)) return {};
    return "risk " + need.risk + " needs an approval";
}

void Leases::need(const wire::LeaseNeed& asked) {
    wire::LeaseNeed need = asked;
    std::sort(need.scopes.begin(), need.scopes.end());
    if (is_ending_) return refuse(need, "mission_ending", "the mission is ending");
    if (is_nearly_over()) return refuse(need, "mission_ending", "the mission is nearly over");
    std::string why;
    const std::optional<std::size_t> service = find_service_for(mission_, need, why);
    if (!service) return refuse(need, "outside_mission", why);
    if (revoked_.contains(*service)) return refuse(need, "service_revoked", "the operator took the service back");
    const auto account = accounts_.find(mission_.services[*service].account);
    if (account == accounts_.end()) return refuse(need, "not_found", need.service + " has no account with a source");
    profiles::Risk risk{};
    if (!profiles::parse_name(need.risk, risk)) return refuse(need, "outside_mission", "no such risk");
    if (const std::string problem = approval_problem(need, risk); !problem.empty()) {
        return refuse(need, "outside_mission", problem);
    }
    Key key{*service, need.scopes, {}, need.risk, false};
    key.is_shared = mission_.services[*service].reuse && need.approval.empty() && !is_elevated(risk);
    if (account->second.source->capabilities().narrows_resources) key.resources = need.resources;

    if (const LeasePtr shared = find_shared(key)) {
        const bool wants_another = !need.instead_of.empty();
        if (wants_another && shared->row.lease == need.instead_of) {
            return refuse(need, kRefusedReason, "it was replaced a short while ago already");
        }
        if (wants_another && shared->is_refused_again()) return refuse(need, kRefusedReason, kRefusedAgain);
        if (shared->row.state == LeaseState::Held) return hand_out(*shared, need.exchange);
        if (waiters_ >= kLeaseWaitersMax) return refuse(need, "source_failed", "too many requests wait for the source");
        shared->waiters.push_back({need.exchange, wants_another});
        ++waiters_;
        return;
    }
    if (const SourceFailure* failure = known_failure(key)) {
        const std::string reason(name_of(failure->fault));
        return listener_.failed({need.exchange, reason, failure->what, failure->retry_after.count()});
    }
    acquire(need, *service, std::move(key));
}

const SourceFailure* Leases::known_failure(const Key& key) {
    std::erase_if(failed_, [now = clock_.boot()](const Failed& failed) { return failed.until <= now; });
    const auto found =
        std::find_if(failed_.begin(), failed_.end(), [&](const Failed& failed) { return failed.key == key; });
    return found == failed_.end() ? nullptr : &found->failure;
}

Leases::LeasePtr Leases::find_shared(const Key& key) const {
    if (!key.is_shared) return nullptr;
    const BootTime floor = clock_.boot().plus(kLeaseFloor);
    for (const auto& [number, lease] : leases_) {
        const bool is_wanted = lease->row.state == LeaseState::Wanted;
        const bool is_fresh = lease->row.state == LeaseState::Held && lease->expires > floor &&
                              lease->source->is_current(lease->credential);
        if ((is_wanted || is_fresh) && lease->key == key) return lease;
    }
    return nullptr;
}

// The lease of a need that no source was asked for yet, with its intent in the journal.
Result<Leases::LeasePtr> Leases::begin(const wire::LeaseNeed& need, std::size_t service, Key key,
                                       const Capabilities& can) {
    if (waiters_ >= kLeaseWaitersMax || open_ >= kLeasesHeldMax) {
        return Error{Errc::Limit, "too many leases at the same time"};
    }
    const std::string& account = mission_.services[service].account;
    AccountSource& from = accounts_.at(account);
    const WallTime now = clock_.wall();
    auto lease = std::make_shared<Lease>();
    lease->number = ++counted_;
    lease->key = std::move(key);
    lease->source = from.source.get();
    const profiles::Service& asked = mission_.services[service];
    LeaseRow& row = lease->row;
    row.correlation = make_ulid(now);
    row.mission = mission_.id;
    row.lease = "l" + std::to_string(lease->number);
    row.service = need.service;
    row.account = account;
    row.source = from.kind;
    row.asked = need.scopes;
    row.retire = can.retire;
    row.risk = need.risk;
    row.approval = need.approval;
    row.mints = can.mints;
    row.wanted_unix_ms = now.unix_ms;
    row.expires_unix_ms = end_.wall.unix_ms;
    lease->source_need = {mission_.id,    row.correlation, account,          need.scopes,
                          need.resources, end_.wall,       asked.resources, asked.account_resources};
    if (can.mints && can.life_max.count() > 0) {
        // Counted from the last moment at which the provider may make it, not from when it was asked.
        lease->dead_at = clock_.boot().plus(kLateMintMax + can.life_max);
        row.alive_until_unix_ms = wall_at(*lease->dead_at).unix_ms;
    }
    // Write-ahead: no source is asked for anything that a crash could make us forget. One that makes nothing outside
    // needs no disk: its intent becomes durable with its handle.
    const auto durable = can.mints ? Journal::Durable::Now : Journal::Durable::Later;
    SANCTUM_CHECK(journal_.add_lease(row, durable));
    leases_[lease->number] = lease;
    ++open_;
    return lease;
}

void Leases::acquire(const wire::LeaseNeed& need, std::size_t service, Key key) {
    const Capabilities can = accounts_.at(mission_.services[service].account).source->capabilities();
    const Result<LeasePtr> lease = begin(need, service, std::move(key), can);
    if (!lease) return refuse(need, "source_failed", lease.error().what);
    (*lease)->refused = (*lease)->source_need.refused = refused_thumbprint((*lease)->key);
    (*lease)->waiters.push_back({need.exchange, !need.instead_of.empty()});
    ++waiters_;
    const std::optional<Capabilities> missing = (*lease)->source->lacks_mission_token();
    if (missing) ask_for_mission_token(*lease, *missing);
    else ask_source(*lease);
}

// One token for all that wait for it; its lease is of the service that needed it first.
void Leases::ask_for_mission_token(const LeasePtr& lease, const Capabilities& can) {
    const std::string account = lease->row.account;
    std::vector<LeasePtr>& waiting = awaiting_token_[account];
    waiting.push_back(lease);
    if (waiting.size() > 1) return;
    const wire::LeaseNeed need = own_need(lease->row.service, kMissionTokenScope);
    const Key key{lease->key.service, need.scopes, {}, need.risk, false};
    // Whatever each of them needs it for: an agent in a loop makes one attempt.
    if (const SourceFailure* known = known_failure(key)) {
        const SourceFailure failure = *known;
        return go_on_with_mission_token(account, &failure);
    }
    if (lost_tokens_[account] >= kMissionTokensLostMax) {
        const SourceFailure failure = too_many_lost(account);
        return go_on_with_mission_token(account, &failure);
    }
    const Result<LeasePtr> token = begin(need, lease->key.service, key, can);
    if (!token) {
        const SourceFailure failure{SourceFault::Failed, token.error().what, Milliseconds(0)};
        return go_on_with_mission_token(account, &failure);
    }
    (*token)->is_mission_token = true;
    lease->source->make_mission_token((*token)->source_need, [this, token = *token](Fetched made) {
        take_mission_token(token, std::move(made));
    });
}

void Leases::take_mission_token(const LeasePtr& token, Fetched made) {
    const std::string account = token->row.account;
    if (token->row.state != LeaseState::Wanted) {
        // Given up on long ago, and recorded so. What came is given back all the same.
        if (made) token->source->retire(*made, RetireCause::MissionEnd, [](const RetireOutcome&) {});
        awaiting_token_.erase(account);
        return;
    }
    if (!made) {
        SourceFailure failure = made.failure();
        if (failure.leaves_an_orphan()) ++lost_tokens_[account];
        take_failure(token, failure);
        // Who waits mints nothing of its own, and would be asked again at once.
        if (failure.leaves_an_orphan()) failure.retry_after = std::max(failure.retry_after, Milliseconds(kOrphanRest));
        return go_on_with_mission_token(account, &failure);
    }
    if (const Status held = hold_for_mission(token, std::move(*made)); !held) {
        const SourceFailure failure{SourceFault::Failed, held.error().what, Milliseconds(0)};
        return go_on_with_mission_token(account, &failure);
    }
    go_on_with_mission_token(account, nullptr);
}

// `failure`: there is no token; null: it is held.
void Leases::go_on_with_mission_token(const std::string& account, const SourceFailure* failure) {
    const auto found = awaiting_token_.find(account);
    const std::vector<LeasePtr> waiting = std::move(found->second);
    awaiting_token_.erase(found);
    for (const LeasePtr& lease : waiting) {
        if (lease->row.state != LeaseState::Wanted) continue;  // given up on meanwhile
        if (failure == nullptr) ask_source(lease);
        else take_failure(lease, *failure);
    }
}

// SECURITY: judged here as if the interceptor had not: what a login may bring, and whether the agent may log in.
std::string Leases::login_problem(const wire::LoginNeed& need, std::size_t service) const {
    const profiles::Service& asked = mission_.services[service];
    const auto has_scope = std::binary_search(asked.implied.begin(), asked.implied.end(), profiles::kLoginScope);
    if (!asked.login || !has_scope) return need.service + " takes no login in this mission";
    const bool is_new = need.grant == "authorization_code";
    if (!is_new && need.grant != "refresh_token") return "no such way to log in";
    if (is_new && !asked.captures_login) return "the agent may not log in to " + need.service;
    std::size_t bytes = 0;
    for (const auto& [name, value] : need.members) {
        bytes += name.size() + value.size();
        const auto& sends = asked.login->sends;
        if (!is_new || !std::binary_search(sends.begin(), sends.end(), name)) return "a login does not bring " + name;
    }
    return bytes > kLoginBodyBytesMax ? "a login that is too long" : "";
}

void Leases::login(const wire::LoginNeed& need) {
    const auto refuse = [&](const char* reason, const std::string& detail) {
        listener_.answered({need.exchange, 0, "", reason, detail});
    };
    if (is_ending_) return refuse("mission_ending", "the mission is ending");
    if (logins_asked_ >= kLoginsAtOnceMax) return refuse("source_failed", "too many logins at the same time");
    const auto found = std::find_if(mission_.services.begin(), mission_.services.end(),
                                    [&](const profiles::Service& one) { return one.name == need.service; });
    if (found == mission_.services.end()) return refuse("outside_mission", "no service " + need.service);
    const auto service = static_cast<std::size_t>(found - mission_.services.begin());
    if (revoked_.contains(service)) return refuse("service_revoked", "the operator took the service back");
    if (const std::string why = login_problem(need, service); !why.empty()) return refuse("outside_mission", why);
    const auto account = accounts_.find(found->account);
    if (account == accounts_.end()) return refuse("not_found", need.service + " has no account with a source");
    Source& source = *account->second.source;
    const LoginQuestion question{need.grant == "authorization_code", need.members};
    LeasePtr lease;
    if (source.asks_for_login(question)) {
        const wire::LeaseNeed made = own_need(need.service, question.is_new ? profiles::kLoginScope : kRenewalScope);
        Result<LeasePtr> begun = begin(made, service, Key{service, made.scopes, {}, made.risk, false},
                                       source.capabilities());
        if (!begun) return refuse("source_failed", begun.error().what);
        lease = std::move(*begun);
        lease->is_login = question.is_new;
    }
    const std::uint64_t exchange = need.exchange;
    ++logins_asked_;
    source.login(question, [this, lease, exchange, account = found->account](LoginOutcome outcome) {
        take_login(lease, exchange, account, std::move(outcome));
    });
}

// `lease`: of a new login, or of what a renewal may bring; null for an answer out of what the source has.
void Leases::take_login(const LeasePtr& lease, std::uint64_t exchange, const std::string& account,
                        LoginOutcome outcome) {
    const auto refuse = [&](std::string_view reason, const std::string& detail) {
        listener_.answered({exchange, 0, "", std::string(reason), detail});
    };
    --logins_asked_;
    auto* reply = std::get_if<LoginReply>(&outcome);
    if (lease && lease->row.state != LeaseState::Wanted) {
        // Given up on long ago, and recorded so. What came is given back all the same.
        if (reply != nullptr && reply->made) {
            lease->source->retire(*reply->made, RetireCause::MissionEnd, [](const RetireOutcome&) {});
        }
        return refuse("mission_ending", "the mission is ending");
    }
    if (reply == nullptr) {
        const auto& failure = std::get<SourceFailure>(outcome);
        if (lease) take_failure(lease, failure);
        return refuse(name_of(failure.fault), failure.what);
    }
    if (lease && !reply->made) take_failure(lease, {SourceFault::Failed, "the provider refused the login"});
    const bool is_new = lease && lease->is_login;
    // First what takes a renewed login back: until then the renewal's own lease stands for all that came of it.
    Status held = is_new ? Status() : seal_logins_again(account);
    if (lease && reply->made) {
        if (is_new) held = hold_login(lease, std::move(*reply->made));
        else if (const Status kept = hold_for_mission(lease, std::move(*reply->made)); held) held = kept;
    }
    if (!held) return refuse("source_failed", held.error().what);
    listener_.answered({exchange, static_cast<std::uint16_t>(reply->status), std::move(reply->body), "", ""});
}

// Write-ahead: what takes it back is durable before anybody hears of it.
Status Leases::hold_for_mission(const LeasePtr& lease, Credential made) {
    LeaseRow& row = lease->row;
    lease->expires = end_.boot;
    lease->dead_at.reset();
    if (made.expires) {  // of a login, and of a mission's token, the end is not known here
        lease->dead_at = boot_at(*made.expires);
        lease->expires = std::min(lease->expires, *lease->dead_at);
        row.alive_until_unix_ms = made.expires->unix_ms;
    }
    row.received = made.scopes.received;
    row.narrowed_by = made.scopes.narrowed_by;
    row.retire = made.retire;
    row.handle = made.handle;
    row.thumbprint = wire::to_hex(sha256(made.secret.reveal()));
    row.detail = lease->remark = made.remark;
    seal_retirement(*lease, made);
    advance(row.state, LeaseEvent::Issued);
    lease->credential = std::move(made);
    if (Status written = journal_.update_leases({row}, Journal::Durable::Now); !written) {
        retire(lease, LeaseState::Gone, RetireCause::Used, "never used: the journal could not be written");
        return written;
    }
    const bool is_late = lease->is_mission_token ? is_over(lease->key.service) : revoked_.contains(lease->key.service);
    if (is_ending_ || is_late) {
        retire(lease, LeaseState::Gone, RetireCause::MissionEnd, "never used: it came too late");
        return Error{Errc::Cancelled, "the mission is ending"};
    }
    listener_.changed(to_record(row));
    return {};
}

Status Leases::hold_login(const LeasePtr& lease, Credential made) {
    SANCTUM_CHECK(hold_for_mission(lease, std::move(made)));
    std::vector<LeasePtr> older;
    for (const auto& [number, other] : leases_) {
        const bool is_older = other->is_login && other != lease && other->key.service == lease->key.service;
        if (is_older && other->row.state == LeaseState::Held) older.push_back(other);
    }
    for (const LeasePtr& other : older) {
        retire(other, LeaseState::Gone, RetireCause::Used, "the agent logged in again");
    }
    return {};
}

Status Leases::seal_logins_again(const std::string& account) {
    const std::vector<LeaseRow> rows = logins_sealed_again(account);
    return rows.empty() ? Status() : journal_.update_leases(rows, Journal::Durable::Now);
}

// A renewal gives a login another refresh token: the journal's request to take it back follows, before it is used.
std::vector<LeaseRow> Leases::logins_sealed_again(const std::string& account) {
    std::vector<LeaseRow> rows;
    for (const auto& [number, lease] : leases_) {
        if (!lease->is_login || lease->row.state != LeaseState::Held || lease->row.account != account) continue;
        if (const auto retirement = lease->source->retirement(lease->credential)) {
            lease->row.retirement = seal_.seal(*retirement);
            rows.push_back(lease->row);
        }
    }
    return rows;
}

void Leases::ask_source(const LeasePtr& lease) {
    lease->source->acquire(lease->source_need, [this, lease](Fetched fetched) {
        if (!fetched || lease->row.state != LeaseState::Wanted) return take_answer(lease, std::move(fetched));
        lease->source->attenuate(lease->source_need, std::move(*fetched), [this, lease](Fetched narrowed) {
            // What was to be narrowed is out, whatever became of its narrower form.
            if (!narrowed) return take_answer(lease, that_may_be_out(narrowed.failure()));
            take_answer(lease, std::move(narrowed));
        });
    });
}

void Leases::take_answer(const LeasePtr& lease, Fetched answer) {
    if (lease->row.state != LeaseState::Wanted) {
        // Given up on long ago, and recorded so. What came is given back all the same.
        if (answer) lease->source->retire(*answer, RetireCause::MissionEnd, [](const RetireOutcome&) {});
        return;
    }
    if (!answer) return take_failure(lease, answer.failure());
    hold(lease, std::move(*answer));
}

void Leases::take_failure(const LeasePtr& lease, const SourceFailure& failure) {
    fail_waiters(*lease, name_of(failure.fault), failure.what, failure.retry_after);
    let_rest(*lease, failure);
    if (failure.leaves_an_orphan() && lease->row.mints) return finish(lease, LeaseEvent::AnswerLost, failure.what);
    advance(lease->row.state, LeaseEvent::Refused);
    lease->row.detail = failure.what;
    --open_;
    write({lease->row}, Journal::Durable::Later);
    forget_oldest_ended();
}

void Leases::let_rest(const Lease& lease, const SourceFailure& failure) {
    const Milliseconds rest = rest_after(failure, lease.row.mints);
    if (rest.count() == 0 || failed_.size() >= kLeasesHeldMax) return;
    failed_.push_back({lease.key, failure, clock_.boot().plus(rest)});
}

bool Leases::is_nearly_over() const { return end_.boot <= clock_.boot().plus(kLeaseFloor); }

WallTime Leases::wall_at(BootTime time) const {
    return {clock_.wall().unix_ms + (time.ms - clock_.boot().ms)};
}

// Once, when a time is told: from then on a wall clock that is set does not move it.
BootTime Leases::boot_at(WallTime time) const {
    return clock_.boot().plus(Milliseconds(time.unix_ms - clock_.wall().unix_ms));
}

// min(provider, mission, policy).
BootTime Leases::expiry_of(const Lease& lease, const Credential& credential) const {
    const Milliseconds policy = lease.key.is_shared ? Milliseconds(kLeaseLifeMax) : Milliseconds(kSingleUseLifeMax);
    const BootTime expires = std::min(end_.boot, clock_.boot().plus(policy));
    return credential.expires ? std::min(expires, boot_at(*credential.expires)) : expires;
}

// What a reaper could do about it, or why it could not.
void Leases::seal_retirement(Lease& lease, const Credential& credential) {
    LeaseRow& row = lease.row;
    if (const auto retirement = lease.source->retirement(credential)) {
        row.retirement = seal_.seal(*retirement);
    } else if (const std::string why = lease.source->why_no_retirement(credential); !why.empty()) {
        row.detail += (row.detail.empty() ? "" : "; ") + why;
    }
}

void Leases::hold(const LeasePtr& lease, Credential credential) {
    LeaseRow& row = lease->row;
    const std::string fault = credential_fault(credential.secret.reveal());
    lease->expires = expiry_of(*lease, credential);
    row.received = credential.scopes.received;
    row.narrowed_by = credential.scopes.narrowed_by;
    row.retire = credential.retire;
    row.handle = credential.handle;
    row.detail = lease->remark = credential.remark;
    row.thumbprint = wire::to_hex(sha256(credential.secret.reveal()));
    row.expires_unix_ms = wall_at(lease->expires).unix_ms;
    if (credential.expires) {
        row.alive_until_unix_ms = credential.expires->unix_ms;
        lease->dead_at = boot_at(*credential.expires);
    }
    // Beside a credential whose end nobody knows, what was made on the way to it does not say when all is over.
    const bool has_known_end = row.alive_until_unix_ms != 0;
    if (has_known_end && credential.alive_until && credential.alive_until->unix_ms > row.alive_until_unix_ms) {
        row.alive_until_unix_ms = credential.alive_until->unix_ms;
        lease->dead_at = boot_at(*credential.alive_until);
    }
    seal_retirement(*lease, credential);
    advance(row.state, LeaseEvent::Issued);
    lease->credential = std::move(credential);
    // Write-ahead: the handle is durable before the credential leaves this process.
    std::vector<LeaseRow> rows = logins_sealed_again(row.account);
    rows.push_back(row);
    const Status written = journal_.update_leases(rows, Journal::Durable::Now);
    if (!fault.empty()) {
        fail_waiters(*lease, "illegal_bytes", "the credential of account " + row.account + " cannot be used: " + fault);
        return retire(lease, LeaseState::Gone, RetireCause::Used, "never used: " + fault);
    }
    if (!written) {
        fail_waiters(*lease, "source_failed", written.error().what);
        return retire(lease, LeaseState::Gone, RetireCause::Used, "never used: the journal could not be written");
    }
    if (is_ending_) {
        return retire(lease, LeaseState::Gone, RetireCause::MissionEnd, "never used: it came after the mission's end");
    }
    if (revoked_.contains(lease->key.service)) {
        return retire(lease, LeaseState::Gone, cause_of_revoking(lease->key.service),
                      "never used: it came after the service was taken back");
    }
    if (lease->expires <= clock_.boot().plus(kLeaseFloor)) return refuse_short_life(lease);
    listener_.changed(to_record(row));
    const std::vector<Waiter> waiters = std::exchange(lease->waiters, {});
    waiters_ -= waiters.size();
    for (const Waiter& waiter : waiters) {
        const bool is_useless = waiter.wants_another && lease->is_refused_again();
        if (is_useless) listener_.failed({waiter.exchange, kRefusedReason, kRefusedAgain, 0});
        else hand_out(*lease, waiter.exchange);
    }
}

// No request is begun with what may end under it. The source is asked again when this one is over: a provider that
// hands one token to everybody has another one then.
void Leases::refuse_short_life(const LeasePtr& lease) {
    const std::int64_t left = std::max<std::int64_t>(0, lease->expires.ms - clock_.boot().ms);
    const bool has_expired = left == 0;
    const LeaseState confirmed = has_expired ? LeaseState::Expired : LeaseState::Gone;
    const RetireCause cause = has_expired ? RetireCause::Expired : RetireCause::Used;
    std::string told = "it had expired when it came";
    if (!has_expired) {
        told = "it came with " + std::to_string(left) + " ms to live, and a request needs ";
        told += std::to_string(kLeaseFloor.count()) + " ms";
    }
    if (is_nearly_over()) {
        fail_waiters(*lease, "mission_ending", "the mission is nearly over");
        return retire(lease, confirmed, cause, "never used: it came when the mission was nearly over");
    }
    const SourceFailure failure{SourceFault::ExpiresTooSoon,
                                "the credential of account " + lease->row.account + " cannot be used: " + told +
                                    " (have its provider issue it for longer; if it does, see whether this machine's "
                                    "clock is right)",
                                Milliseconds(kLeaseFloor)};
    fail_waiters(*lease, name_of(failure.fault), failure.what, failure.retry_after);
    let_rest(*lease, failure);
    retire(lease, confirmed, cause, "never used: " + told);
}

void Leases::hand_out(Lease& lease, std::uint64_t exchange) {
    const profiles::Service& service = mission_.services[lease.key.service];
    wire::LeaseHeld message;
    message.exchange = exchange;
    message.lease = lease.row.lease;
    message.form = std::string(name_of(profiles::AuthForm::None));
    if (const profiles::Endpoint* endpoint = endpoint_with_form(service)) {
        message.form = std::string(name_of(endpoint->form));
        message.name = endpoint->form_name;
        message.username = endpoint->username;
    }
    const std::string& username = accounts_.at(lease.row.account).username;
    if (!username.empty()) message.username = username;
    if (!lease.credential.username.empty()) message.username = lease.credential.username;
    message.expires_boot_ms = lease.expires.ms;
    message.uses = lease.key.is_shared ? 0 : 1;
    message.clock_offset_ms = lease.credential.clock_offset.count();
    lease.was_handed_out = true;
    ++lease.row.handed_out;
    mark_for_writing(lease);
    if (!lease.credential.certificate.is_empty()) {
        const Secret joined = join_certificate(lease.credential, message);
        return listener_.held(message, joined);
    }
    if (lease.credential.key.is_empty()) return listener_.held(message, lease.credential.secret);
    listener_.held(message, dpop::join_bound_token(lease.credential.secret, lease.credential.key));
}

void Leases::fail_waiters(Lease& lease, std::string_view reason, const std::string& detail, Milliseconds retry_after) {
    const std::vector<Waiter> waiters = std::exchange(lease.waiters, {});
    waiters_ -= waiters.size();
    for (const Waiter& waiter : waiters) {
        listener_.failed({waiter.exchange, std::string(reason), detail, retry_after.count()});
    }
}

Status Leases::used(const wire::LeaseUsed& use) {
    const std::optional<std::uint64_t> number = lease_number(use.lease);
    if (!number || *number == 0 || *number > counted_) {
        return Error{Errc::Protocol, "the interceptor used a lease that does not exist"};
    }
    const auto found = leases_.find(*number);
    if (found == leases_.end()) return {};  // ended long ago
    const LeasePtr lease = found->second;
    if (!lease->was_handed_out) return Error{Errc::Protocol, "the interceptor used a lease that it was never given"};
    const std::int64_t now = clock_.wall().unix_ms;
    ++lease->row.uses;
    if (lease->row.first_used_unix_ms == 0) lease->row.first_used_unix_ms = now;
    lease->row.last_used_unix_ms = now;
    mark_for_writing(*lease);
    if (lease->row.state != LeaseState::Held) return {};
    if (!lease->key.is_shared) retire(lease, LeaseState::Gone, RetireCause::Used, "used once");
    else if (use.status == kUnauthorized) take_refusal(lease);
    return {};
}

std::string Leases::refused_thumbprint(const Key& key) const {
    const auto found =
        std::find_if(refused_.begin(), refused_.end(), [&](const Refused& refused) { return refused.key == key; });
    return found == refused_.end() ? std::string() : found->thumbprint;
}

// SECURITY: once per need and kRefusedRest, whatever upstream and interceptor say. What is not replaced stays in use:
// the agent gets the upstream's own answer.
void Leases::take_refusal(const LeasePtr& lease) {
    const BootTime now = clock_.boot();
    std::erase_if(refused_, [now](const Refused& refused) { return refused.until <= now; });
    const bool was_replaced = std::any_of(refused_.begin(), refused_.end(),
                                          [&](const Refused& refused) { return refused.key == lease->key; });
    if (was_replaced || refused_.size() >= kLeasesHeldMax) {
        ++lease->refusals;
        return;
    }
    refused_.push_back({lease->key, lease->row.thumbprint, now.plus(kRefusedRest)});
    retire(lease, LeaseState::Gone, RetireCause::Used, "the upstream refused it with status 401");
}

Status Leases::approve(const wire::Approved& approved) {
    if (approvals_.add(approved, clock_)) return {};
    return Error{Errc::Protocol, "approval " + approved.approval + " was told before, or too many wait"};
}

void Leases::retire(const LeasePtr& lease, LeaseState confirmed, RetireCause cause, const std::string& why) {
    advance(lease->row.state, LeaseEvent::Ending);
    lease->is_dirty = false;
    const bool is_outside = lease->row.retire == RetireClass::Self || lease->row.retire == RetireClass::Accessor;
    write({lease->row}, is_outside ? Journal::Durable::Now : Journal::Durable::Later);
    if (lease->was_handed_out) listener_.gone({lease->row.lease});
    std::string told = why;
    if (lease->refusals > 0) {
        told += "; the upstream refused it with status 401 (" + std::to_string(lease->refusals) + " times)";
    }
    lease->source->retire(lease->credential, cause, [this, lease, confirmed, told](const RetireOutcome& outcome) {
        take_outcome(lease, confirmed, told, outcome);
    });
}

void Leases::take_outcome(const LeasePtr& lease, LeaseState confirmed, const std::string& why,
                          const RetireOutcome& outcome) {
    if (lease->row.state != LeaseState::Retiring) return;  // given up on meanwhile
    const std::string detail = outcome.detail.empty() ? why : why + "; " + outcome.detail;
    const bool has_expired = lease->dead_at && clock_.boot() >= *lease->dead_at;
    const bool is_over = confirmed == LeaseState::Expired;
    if (outcome.end == RetireOutcome::End::LeftToExpire) lease->row.retirement.clear();
    if (outcome.end == RetireOutcome::End::Gone) {
        return finish(lease, is_over ? LeaseEvent::TimePassed : LeaseEvent::GivenBack, detail);
    }
    finish(lease, has_expired ? LeaseEvent::TimePassed : LeaseEvent::StaysAlive, detail);
}

void Leases::finish(const LeasePtr& lease, LeaseEvent event, const std::string& detail) {
    lease->credential = Credential{};
    advance(lease->row.state, event);
    const LeaseState end = lease->row.state;
    lease->row.detail = lease->remark.empty() ? detail : detail + "; " + lease->remark;
    if (end != LeaseState::Parked) lease->row.retirement.clear();  // nobody has to send it any more
    if (may_be_alive(end)) lease->row.expires_unix_ms = end_of_life(lease->row);
    --open_;
    if (end == LeaseState::Gone) ++ended_.gone;
    if (end == LeaseState::Expired) ++ended_.expired;
    if (end == LeaseState::Parked) ++ended_.parked;
    if (end == LeaseState::Orphaned) ++ended_.orphaned;
    // A forgotten end is found again by the reaper, which comes to the same one.
    write({lease->row}, Journal::Durable::Later);
    listener_.changed(to_record(lease->row));
    forget_oldest_ended();
}

void Leases::forget_oldest_ended() {
    if (leases_.size() - open_ <= kLeasesEndedMax) return;
    const auto oldest = std::find_if(leases_.begin(), leases_.end(),
                                     [](const auto& entry) { return !entry.second->is_open(); });
    if (oldest != leases_.end()) leases_.erase(oldest);
}

// An end that cannot be written is told all the same; the journal still says `retiring`, and the reaper finishes it.
void Leases::write(const std::vector<LeaseRow>& rows, Journal::Durable durable) {
    if (Status written = journal_.update_leases(rows, durable); !written) log::error(written.error().what);
}

void Leases::mark_for_writing(Lease& lease) {
    lease.is_dirty = true;
    if (!uses_due_) uses_due_ = clock_.boot().plus(kLeaseUseJournalInterval);
}

void Leases::write_uses() {
    uses_due_.reset();
    std::vector<LeaseRow> rows;
    for (const auto& [number, lease] : leases_) {
        if (!std::exchange(lease->is_dirty, false)) continue;
        rows.push_back(lease->row);
    }
    if (!rows.empty()) write(rows, Journal::Durable::Later);
}

void Leases::tick() {
    const BootTime now = clock_.boot();
    if (uses_due_ && now >= *uses_due_) write_uses();
    std::vector<LeasePtr> over;
    std::vector<LeasePtr> stale;
    for (const auto& [number, lease] : leases_) {
        if (lease->row.state != LeaseState::Held) continue;
        if (lease->expires <= now) over.push_back(lease);
        else if (!lease->source->is_current(lease->credential)) stale.push_back(lease);
    }
    for (const LeasePtr& lease : over) retire(lease, LeaseState::Expired, RetireCause::Expired, "its time passed");
    for (const LeasePtr& lease : stale) {
        retire(lease, LeaseState::Gone, RetireCause::Expired, "its source has another one now");
    }
    if (give_up_ && now >= *give_up_) give_up_on_answers();
}

std::optional<BootTime> Leases::next_tick() const {
    std::optional<BootTime> next = uses_due_;
    const auto consider = [&](std::optional<BootTime> time) {
        if (time && (!next || *time < *next)) next = time;
    };
    consider(give_up_);
    for (const auto& [number, lease] : leases_) {
        if (lease->row.state == LeaseState::Held) consider(lease->expires);
    }
    return next;
}

// What belongs to the account and not to one lease (a user's token of this mission) ends with the last service that
// needs it.
RetireCause Leases::cause_of_revoking(std::size_t service) const {
    return is_over(service) ? RetireCause::MissionEnd : RetireCause::Used;
}

// True when every service of this one's account was taken back.
bool Leases::is_over(std::size_t service) const {
    const std::string& account = mission_.services[service].account;
    for (std::size_t other = 0; other < mission_.services.size(); ++other) {
        if (!revoked_.contains(other) && mission_.services[other].account == account) return false;
    }
    return true;
}

Status Leases::revoke_service(const std::string& service) {
    const auto found = std::find_if(mission_.services.begin(), mission_.services.end(),
                                    [&](const profiles::Service& one) { return one.name == service; });
    if (found == mission_.services.end()) return Error{Errc::Protocol, "a service was revoked that is not there"};
    const auto index = static_cast<std::size_t>(found - mission_.services.begin());
    if (!revoked_.insert(index).second || is_ending_) return {};
    std::vector<LeasePtr> held;
    for (const auto& [number, lease] : leases_) {
        const bool is_of_account = lease->is_mission_token && lease->row.account == found->account;
        if (is_of_account ? !is_over(index) : lease->key.service != index) continue;
        fail_waiters(*lease, "service_revoked", "the operator took the service back");
        if (lease->row.state == LeaseState::Held) held.push_back(lease);
    }
    for (const LeasePtr& lease : held) {
        retire(lease, LeaseState::Gone, cause_of_revoking(index), "the operator took the service back");
    }
    return {};
}

void Leases::end_mission() {
    if (is_ending_) return;
    is_ending_ = true;
    give_up_ = clock_.boot().plus(kAcquireAtEndTimeout);
    std::vector<LeasePtr> held;
    for (const auto& [number, lease] : leases_) {
        fail_waiters(*lease, "mission_ending", "the mission is ending");
        if (lease->row.state == LeaseState::Held) held.push_back(lease);
    }
    for (const LeasePtr& lease : held) retire(lease, LeaseState::Gone, RetireCause::MissionEnd, "the mission ended");
    sources_ending_ = accounts_.size();
    for (const auto& [name, account] : accounts_) {
        account.source->end_mission([this] {
            if (sources_ending_ > 0) --sources_ending_;
        });
    }
    write_uses();
}

void Leases::give_up_on_answers() {
    give_up_.reset();
    sources_ending_ = 0;
    std::vector<LeasePtr> unanswered;
    for (const auto& [number, lease] : leases_) {
        if (lease->row.state == LeaseState::Wanted || lease->row.state == LeaseState::Retiring) {
            unanswered.push_back(lease);
        }
    }
    for (const LeasePtr& lease : unanswered) {
        if (lease->row.state == LeaseState::Retiring) {
            finish(lease, LeaseEvent::StaysAlive, "giving it back is not confirmed");
        } else if (lease->row.mints) {
            finish(lease, LeaseEvent::AnswerLost, "no answer before the mission's end");
        } else {
            finish(lease, LeaseEvent::NothingMade, "never fetched");
        }
    }
}

bool Leases::is_settled() const { return is_ending_ && open_ == 0 && sources_ending_ == 0; }

wire::Retired Leases::counts() const { return ended_; }

}  // namespace sanctum::vault
