// SPDX-License-Identifier: Apache-2.0
// Source: one kind of vault backend behind one small interface. Every credential passes fetch → attenuate → inject →
// retire; a source says honestly what it can do of that, and what it did.
//
// Asynchronous by contract: acquire, attenuate, login and retire answer through a completion, called at most once,
// on the vault's loop, from inside the call or later. A source that waits for something registers its descriptor with
// the loop when it is made; none may block the loop.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "network/client_certificate.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sanctum::vault {

/// What can be done with a credential of this source when it is no longer wanted.
enum class RetireClass : std::uint8_t {
    None,        ///< stored by the operator: dropping our copy is all there is; the credential stays valid
    Expires,     ///< short-lived and not revocable: it ends by itself
    Self,        ///< revoked with the credential itself
    Accessor,    ///< revoked by a handle that is no secret
    KillsGrant,  ///< revoking would end the account's whole consent: never done on our own
};
/// `none | expires | self | accessor | kills-grant`.
[[nodiscard]] std::string_view name_of(RetireClass value);
[[nodiscard]] bool parse_name(std::string_view name, RetireClass& value);

/// Which stage made the credential narrower than the account: ours alone, or the provider too.
enum class NarrowedBy : std::uint8_t { Proxy, Provider, Both };
/// `proxy | provider | both`.
[[nodiscard]] std::string_view name_of(NarrowedBy value);
[[nodiscard]] bool parse_name(std::string_view name, NarrowedBy& value);

/// What a source can do; asked once, before the first need.
struct Capabilities {
    bool narrows_scopes = false;     ///< the provider is asked for less than the account has
    bool narrows_resources = false;  ///< then leases are not shared between different resources
    bool mints = false;              ///< acquire() makes something new outside: a lost answer is an orphan
    RetireClass retire = RetireClass::None;
    Milliseconds life_max{0};        ///< longest life of what acquire() may make; 0: it cannot say
};

/// What the lease of a mission's own token says it was asked for: tokens while nobody is there.
inline constexpr std::string_view kMissionTokenScope = "offline_access";
/// What the lease of what came when an agent renewed its login says it was asked for.
inline constexpr std::string_view kRenewalScope = "renewal";

/// What a credential is needed for. `correlation` is ours, durable before the source is asked, and sent along where
/// the provider's protocol has a place for it.
struct SourceNeed {
    std::string mission;
    std::string correlation;
    std::string account;
    std::vector<std::string> scopes;
    std::map<std::string, std::vector<std::string>> resources;
    WallTime wanted_until;  ///< the lease will not live longer than this
    /// What resources the service has in this mission: patterns by name, the profile's and the account's. Without a
    /// name in a map, that one does not bound it.
    std::map<std::string, std::vector<std::string>> service_bounds;
    std::map<std::string, std::vector<std::string>> account_bounds;
    /// Thumbprint (hex SHA-256) of the credential that the API refused with 401 and that this one replaces; empty: none
    /// was. A source that can get another one does.
    std::string refused{};
};

/// What was asked, what came, and who narrowed.
struct ScopeReport {
    std::vector<std::string> asked;
    std::optional<std::vector<std::string>> received;  ///< absent: the source does not say
    NarrowedBy narrowed_by = NarrowedBy::Proxy;
};

/// What a source handed out.
struct Credential {
    Secret secret;
    Secret key;  ///< a private JWK with which each request is proved (RFC 9449); empty: the secret is enough
    /// That connections have to show over which the secret is sent (RFC 8705 3); empty: any connection will do.
    network::ClientCertificate certificate;
    ScopeReport scopes;
    std::optional<WallTime> expires;  ///< the provider's word; absent: it has none
    std::string username;             ///< that came with the secret, for basic authentication; empty: none did
    std::string handle;               ///< what retire() needs besides the secret; no secret, kept in the journal
    /// The provider's clock minus ours, as it was last measured: what is signed with this credential bears its time.
    Milliseconds clock_offset{0};
    /// The longest that what was made on the way to it can live, where that is longer than it lives itself.
    std::optional<WallTime> alive_until;
    std::string remark;               ///< one sentence for the record of how it came; empty: nothing out of the way
    RetireClass retire = RetireClass::None;
};

/// Why no credential came. Each is a reason that the record, the agent and the operator see by its name.
enum class SourceFault : std::uint8_t {
    NotFound,          ///< no such item or program
    Failed,            ///< the source answered with a failure of its own; nothing was made
    NoAnswer,          ///< no whole answer came: something may have been made
    ConsentRequired,   ///< the account was never connected, or not with these scopes
    ConsentLost,       ///< it was, and the provider no longer honours it
    SubjectExpired,    ///< the token that stands for the account's owner is dead: the owner must log in
    ScopeUnavailable,  ///< the provider gives less than the need
    ExpiresTooSoon,    ///< what the provider gave ends before a request with it could
    ScopeTooWide,      ///< the provider gave more than was asked, and the operator does not accept that
    Misconfigured,     ///< a setting at the provider or in the operator's configuration is wrong
    RateLimited,
    Unavailable,       ///< not reached, or it said so; nothing was made
    ClockSkew,         ///< this machine's clock is wrong, and correcting for it did not help
    Protocol,          ///< an answer that breaks its format
};
/// `not_found | source_failed | no_answer | consent_required | …`: the reason of wire::LeaseFailed.
[[nodiscard]] std::string_view name_of(SourceFault value);

/// A failed acquire, attenuate or login.
struct SourceFailure {
    SourceFault fault = SourceFault::Failed;
    std::string what;            ///< one sentence for the operator, with the setting to change; no secret
    Milliseconds retry_after{0};  ///< asking earlier is useless; 0: not said
    std::string error{};          ///< the provider's own name of it (RFC 6749 5.2), a word; empty: it gave none
    std::string description{};    ///< its `error_description`, made printable; empty: it gave none
    /// Something was made, or may have been, that cannot be used and was not given back. Implied by NoAnswer.
    bool may_be_out = false;

    [[nodiscard]] bool leaves_an_orphan() const { return may_be_out || fault == SourceFault::NoAnswer; }
};

/// The same failure, of a request behind which something may have been made all the same.
[[nodiscard]] SourceFailure that_may_be_out(SourceFailure failure);

/// A credential, or why there is none.
class Fetched {
public:
    Fetched(Credential credential) : state_(std::move(credential)) {}
    Fetched(SourceFailure failure) : state_(std::move(failure)) {}
    /// An error of this machine: NotFound, Timeout and Cancelled (NoAnswer), all else Failed.
    Fetched(Error error);
    [[nodiscard]] explicit operator bool() const noexcept { return std::holds_alternative<Credential>(state_); }
    [[nodiscard]] Credential& operator*() { return std::get<Credential>(state_); }
    [[nodiscard]] Credential* operator->() { return &std::get<Credential>(state_); }
    [[nodiscard]] const SourceFailure& failure() const { return std::get<SourceFailure>(state_); }

private:
    std::variant<Credential, SourceFailure> state_;
};

/// Why a credential is given back.
enum class RetireCause : std::uint8_t { Used, Expired, MissionEnd };

/// How giving back ended.
struct RetireOutcome {
    enum class End : std::uint8_t {
        Gone,          ///< the provider confirmed, or there is nothing outside that knew of us
        LeftToExpire,  ///< cannot or must not be revoked: ends at its expiry
        NotYet,        ///< refused or unreachable: to be tried again
    } end = End::Gone;
    std::string detail;  ///< one sentence for the record, no secret
};

/// Called at most once.
template <class T>
using Completion = std::function<void(T)>;

/// What a failed acquire is when what it had made so far was given back with `outcome`. `reaches_all`: whatever a lost
/// answer may have made is gone with it; then nothing may be out any more. Not given back: may_be_out.
[[nodiscard]] SourceFailure after_clean_up(SourceFailure failure, const RetireOutcome& outcome, bool reaches_all);

/// What an agent asks its token endpoint for.
struct LoginQuestion {
    bool is_new = false;                         ///< with a code; else it wants its login renewed
    std::map<std::string, std::string> members;  ///< of the request, as far as the catalog lets them through
};

/// What the agent is told in the place of the provider's answer.
struct LoginReply {
    int status = 200;
    std::string body;                ///< JSON, in which the tokens are placeholders
    std::optional<Credential> made;  ///< what the login or its renewal made, to be given back when the mission ends
};
using LoginOutcome = std::variant<LoginReply, SourceFailure>;

struct Retirement;

class Source {
public:
    virtual ~Source() = default;

    [[nodiscard]] virtual Capabilities capabilities() const = 0;

    /// Fetches a credential for a need; called when no live lease answers it, after its intent is durable.
    /// A failure says whether something may have been made outside (SourceFailure::leaves_an_orphan).
    virtual void acquire(const SourceNeed& need, Completion<Fetched> done) = 0;

    /// Not absent: before acquire() make_mission_token() has to be called, which a mission needs once, and this is what
    /// it makes.
    [[nodiscard]] virtual std::optional<Capabilities> lacks_mission_token() const { return std::nullopt; }

    /// Makes the token that stands for the account's owner in this mission alone, where a source is configured to have
    /// one. It is a lease of its own, which nobody is given and which ends with the last service of the account: called
    /// after its intent is durable, and used by acquire() only after it is itself. A failure as acquire()'s.
    virtual void make_mission_token(const SourceNeed& /*need*/, Completion<Fetched> done) {
        done(Error{Errc::Unsupported, "this source has no token of a mission"});
    }

    /// Makes a fetched credential narrower where that is a step of its own; called right after acquire() and before
    /// the credential's handle is made durable. Those that narrow at acquire, or not at all, pass it on.
    virtual void attenuate(const SourceNeed& /*need*/, Credential credential, Completion<Fetched> done) {
        done(std::move(credential));
    }

    /// True: login() will ask the provider, and so may make something; false: it answers with what it has, or with what
    /// a renewal brings that somebody else began.
    [[nodiscard]] virtual bool asks_for_login(const LoginQuestion& question) const { return question.is_new; }

    /// Logs in, or renews the login, as the agent wanted to do it. What the provider refuses is a reply. Only for
    /// accounts whose source is a login; the default says that this one is not.
    virtual void login(const LoginQuestion& /*question*/, Completion<LoginOutcome> done) {
        done(SourceFailure{SourceFault::Failed, "this account's source takes no login", Milliseconds(0)});
    }

    /// False: what acquire() gave then is another one now. Its lease ends, and the next need is answered anew. Asked
    /// after everything that the loop did; must be quick.
    [[nodiscard]] virtual bool is_current(const Credential& /*credential*/) const { return true; }

    /// The mission is over, and every lease that was held is on its way back: what is kept besides is given back now.
    virtual void end_mission(std::function<void()> done) { done(); }

    /// Gives a credential back; called once per lease at its end, before its end is recorded.
    virtual void retire(const Credential& credential, RetireCause cause, Completion<RetireOutcome> done) = 0;

    /// What a reaper can send when this process dies before it gave the credential back. Null: there is no request
    /// that would not also need a secret of the store.
    [[nodiscard]] virtual std::unique_ptr<Retirement> retirement(const Credential& credential) const;

    /// What giving back would take that a reaper lacks, with the setting to change; one sentence for the record of a
    /// lease whose vault died. Empty: nothing that is known.
    [[nodiscard]] virtual std::string why_no_retirement(const Credential& /*credential*/) const { return {}; }
};

}  // namespace sanctum::vault
