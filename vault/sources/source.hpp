// SPDX-License-Identifier: Apache-2.0
// Source: one kind of vault backend behind one small interface. Every credential passes fetch → attenuate → inject →
// retire; a source says honestly what it can do of that, and what it did.
//
// Asynchronous by contract: acquire, attenuate, refresh and retire answer through a completion, called at most once,
// on the vault's loop, from inside the call or later. A source that waits for something registers its descriptor with
// the loop when it is made; none may block the loop.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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

/// What a credential is needed for. `correlation` is ours, durable before the source is asked, and sent along where
/// the provider's protocol has a place for it.
struct SourceNeed {
    std::string mission;
    std::string correlation;
    std::string account;
    std::vector<std::string> scopes;
    std::map<std::string, std::vector<std::string>> resources;
    WallTime wanted_until;  ///< the lease will not live longer than this
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
    ScopeReport scopes;
    std::optional<WallTime> expires;  ///< the provider's word; absent: it has none
    std::string handle;               ///< what retire() needs besides the secret; no secret, kept in the journal
    RetireClass retire = RetireClass::None;
};

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

class Source {
public:
    virtual ~Source() = default;

    [[nodiscard]] virtual Capabilities capabilities() const = 0;

    /// Fetches a credential for a need; called when no live lease answers it, after its intent is durable.
    /// Errors: NotFound (no such item), Io or Protocol (the backend answered with a failure: nothing was made),
    /// Timeout or Cancelled (no answer: something may have been made), Limit, NotPermitted.
    virtual void acquire(const SourceNeed& need, Completion<Result<Credential>> done) = 0;

    /// Makes a fetched credential narrower where that is a step of its own; called right after acquire() and before
    /// the credential's handle is made durable. Those that narrow at acquire, or not at all, pass it on.
    virtual void attenuate(const SourceNeed& /*need*/, Credential credential, Completion<Result<Credential>> done) {
        done(std::move(credential));
    }

    /// Replaces a credential that runs out while its lease still lives. Only for sources that can do it cheaper than
    /// acquire(); the default says that it cannot.
    virtual void refresh(const SourceNeed& /*need*/, const Credential& /*old*/, Completion<Result<Credential>> done) {
        done(Error{Errc::Unsupported, "this source cannot refresh"});
    }

    /// Gives a credential back; called once per lease at its end, before its end is recorded.
    virtual void retire(const Credential& credential, Completion<RetireOutcome> done) = 0;
};

}  // namespace sanctum::vault
