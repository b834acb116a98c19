// SPDX-License-Identifier: Apache-2.0
// Leases: the life of every credential of one mission, from need to end. The vault's heart; no sockets, no files.
//
// Each step of vault/lease_states.hpp is in the journal before its effect: the intent before the source is asked, the
// handle before the credential is handed out, retiring before it is given back; safe from power loss where the effect
// is outside this machine. After end_mission() nothing is handed out any more; an answer that comes later is retired
// at once.
#pragma once

#include "base/clock.hpp"
#include "base/wire/messages.hpp"
#include "profiles/schema/mission.hpp"
#include "vault/journal.hpp"
#include "vault/mission_check.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/source.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sanctum::vault {

/// What leases tell the other processes. Called from inside Leases' functions; must not call back.
class LeaseListener {
public:
    virtual ~LeaseListener() = default;
    virtual void held(const wire::LeaseHeld& message, const Secret& secret) = 0;
    virtual void failed(const wire::LeaseFailed& message) = 0;
    virtual void gone(const wire::LeaseGone& message) = 0;
    virtual void changed(const wire::LeaseChanged& message) = 0;
    virtual void answered(const wire::LoginAnswered& message) = 0;
};

/// The source of one account and the words that belong to it.
struct AccountSource {
    std::string kind;      ///< the account's `source`
    std::string username;  ///< goes before the endpoint's, for basic authentication
    std::unique_ptr<Source> source;
};

/// The mission's end in both times, from `start`.
struct MissionEnd {
    BootTime boot;
    WallTime wall;
};

class Leases {
public:
    /// All references must outlive this object; `accounts` by account name.
    Leases(const profiles::Mission& mission, MissionEnd end, std::map<std::string, AccountSource> accounts,
           Journal& journal, const ReaperSeal& seal, const Clock& clock, LeaseListener& listener);
    Leases(const Leases&) = delete;
    Leases& operator=(const Leases&) = delete;
    ~Leases();

    /// Answers with held or failed, now or later; exactly one per need. Nothing is handed out that ends within
    /// kLeaseFloor: `mission_ending` where it is the mission that does, else `expires_too_soon`.
    void need(const wire::LeaseNeed& need);
    /// Answers with `answered`, now or later; exactly one per need. What a login makes is a lease that nobody is given
    /// and that ends with the mission, or with the next login of its service.
    void login(const wire::LoginNeed& need);
    /// A use that the upstream answered with 401 ends its lease, once per need and kRefusedRest: the next need gets
    /// another credential. Errors: Protocol (a lease that was never handed out): whoever says so is broken or hostile.
    [[nodiscard]] Status used(const wire::LeaseUsed& use);
    /// Errors: Protocol (told twice, or too many).
    [[nodiscard]] Status approve(const wire::Approved& approved);

    /// Ends leases whose time has come, writes collected uses, gives up on answers after the mission's end.
    void tick();
    /// When tick() has something to do next; absent: nothing waits for time.
    [[nodiscard]] std::optional<BootTime> next_tick() const;

    /// From here on this service's needs fail with `service_revoked`, and what it holds is retired. Errors: Protocol
    /// (the mission has no such service).
    [[nodiscard]] Status revoke_service(const std::string& service);
    /// From here on nothing is handed out: needs fail with `mission_ending`, everything held is retired.
    void end_mission();
    /// True when every lease has its end (only after end_mission()).
    [[nodiscard]] bool is_settled() const;
    /// How they ended.
    [[nodiscard]] wire::Retired counts() const;

private:
    struct Lease;
    struct Key;
    using LeasePtr = std::shared_ptr<Lease>;

    [[nodiscard]] WallTime wall_at(BootTime time) const;
    [[nodiscard]] BootTime boot_at(WallTime time) const;
    [[nodiscard]] BootTime expiry_of(const Lease& lease, const Credential& credential) const;
    void refuse(const wire::LeaseNeed& need, const char* reason, const std::string& detail);
    [[nodiscard]] std::string approval_problem(const wire::LeaseNeed& need, profiles::Risk risk);
    [[nodiscard]] RetireCause cause_of_revoking(std::size_t service) const;
    [[nodiscard]] LeasePtr find_shared(const Key& key) const;
    void acquire(const wire::LeaseNeed& need, std::size_t service, Key key);
    [[nodiscard]] Result<LeasePtr> begin(const wire::LeaseNeed& need, std::size_t service, Key key,
                                         const Capabilities& can);
    [[nodiscard]] std::string login_problem(const wire::LoginNeed& need, std::size_t service) const;
    void take_login(const LeasePtr& lease, std::uint64_t exchange, const std::string& account, LoginOutcome outcome);
    [[nodiscard]] Status hold_login(const LeasePtr& lease, Credential made);
    [[nodiscard]] Status hold_for_mission(const LeasePtr& lease, Credential made);
    [[nodiscard]] bool is_over(std::size_t service) const;
    void ask_for_mission_token(const LeasePtr& lease, const Capabilities& can);
    void take_mission_token(const LeasePtr& token, Fetched made);
    void go_on_with_mission_token(const std::string& account, const SourceFailure* failure);
    [[nodiscard]] Status seal_logins_again(const std::string& account);
    [[nodiscard]] std::vector<LeaseRow> logins_sealed_again(const std::string& account);
    void ask_source(const LeasePtr& lease);
    void take_answer(const LeasePtr& lease, Fetched answer);
    void take_failure(const LeasePtr& lease, const SourceFailure& failure);
    [[nodiscard]] const SourceFailure* known_failure(const Key& key);
    void seal_retirement(Lease& lease, const Credential& credential);
    void hold(const LeasePtr& lease, Credential credential);
    void hand_out(Lease& lease, std::uint64_t exchange);
    void fail_waiters(Lease& lease, std::string_view reason, const std::string& detail, Milliseconds retry_after = {});
    void let_rest(const Lease& lease, const SourceFailure& failure);
    [[nodiscard]] bool is_nearly_over() const;
    void refuse_short_life(const LeasePtr& lease);
    void take_refusal(const LeasePtr& lease);
    [[nodiscard]] std::string refused_thumbprint(const Key& key) const;
    void retire(const LeasePtr& lease, LeaseState confirmed, RetireCause cause, const std::string& why);
    void take_outcome(const LeasePtr& lease, LeaseState confirmed, const std::string& why,
                      const RetireOutcome& outcome);
    void finish(const LeasePtr& lease, LeaseEvent event, const std::string& detail);
    void give_up_on_answers();
    void forget_oldest_ended();
    void write(const std::vector<LeaseRow>& rows, Journal::Durable durable);
    void write_uses();
    void mark_for_writing(Lease& lease);

    const profiles::Mission& mission_;
    MissionEnd end_;
    std::map<std::string, AccountSource> accounts_;
    Journal& journal_;
    const ReaperSeal& seal_;
    const Clock& clock_;
    LeaseListener& listener_;
    Approvals approvals_;
    std::map<std::uint64_t, LeasePtr> leases_;  ///< by number; those with an end have lost their secret
    std::uint64_t counted_ = 0;                 ///< `l1` is the first
    std::size_t open_ = 0;                      ///< leases without an end
    std::size_t waiters_ = 0;
    std::size_t logins_asked_ = 0;              ///< without an answer of their source
    std::set<std::size_t> revoked_;             ///< services, by index
    bool is_ending_ = false;
    std::size_t sources_ending_ = 0;            ///< asked to end the mission, and not done
    std::optional<BootTime> uses_due_;
    std::optional<BootTime> give_up_;
    wire::Retired ended_;
    struct Failed;
    std::vector<Failed> failed_;  ///< needs that are not asked for again for a while
    std::map<std::string, std::vector<LeasePtr>> awaiting_token_;  ///< by account: whose mission token is asked for
    std::map<std::string, std::size_t> lost_tokens_;  ///< by account: of the mission's own, made perhaps and of no use
    struct Refused;
    std::vector<Refused> refused_;  ///< needs whose credential was replaced a short while ago
};

/// Empty, or why these bytes cannot be put on a request: nothing at all, control characters, or more than
/// kCredentialBytesMax. (RFC 9110 5.5, field values: what passes here cannot split a head.)
[[nodiscard]] std::string credential_fault(std::string_view bytes);

}  // namespace sanctum::vault
