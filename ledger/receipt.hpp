// SPDX-License-Identifier: Apache-2.0
// The receipt: a run in summary (formats 7), built from the records as they pass.
//
// Everything in it follows from the ledger alone (and the receipt before it), so that whoever has both can compute it
// again and compare; verify does. One exception: whether the witness was told of the last head; no record follows it.
#pragma once

#include "base/wire/archive.hpp"
#include "ledger/record_lines.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sanctum::ledger {

struct ReceiptEnd {
    std::string reason;
    int code = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("reason", self.reason);
        archive("code", self.code);
    }
};

/// Per facility `fully`, `partly` or `not`, and the facts behind it.
struct ReceiptEnforced {
    std::string namespaces, filter, landlock, limits, watch;
    std::uint32_t landlock_abi = 0;
    std::string limits_by;
    std::vector<std::string> limits_missing;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("namespaces", self.namespaces);
        archive("filter", self.filter);
        archive("landlock", self.landlock);
        archive("limits", self.limits);
        archive("watch", self.watch);
        archive("landlock_abi", self.landlock_abi);
        archive("limits_by", self.limits_by);
        archive("limits_missing", self.limits_missing);
    }
};

/// Exact numbers; aggregated records count for all they stand for.
struct ReceiptCounts {
    std::uint64_t connections = 0;
    std::map<std::string, std::uint64_t> connections_refused;  ///< by reason
    std::map<std::string, std::uint64_t> verdicts;             ///< allow, ask, step-up: intents; deny: refused (403)
    std::map<std::string, std::uint64_t> refused;              ///< exchanges by reason
    std::map<std::string, std::uint64_t> outcomes;             ///< `complete`, …; `unknown`: an intent without an end
    std::uint64_t sent = 0;      ///< body bytes
    std::uint64_t received = 0;
    std::uint64_t scrubbed = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("connections", self.connections);
        archive("connections_refused", self.connections_refused);
        archive("verdicts", self.verdicts);
        archive("refused", self.refused);
        archive("outcomes", self.outcomes);
        archive("sent", self.sent);
        archive("received", self.received);
        archive("scrubbed", self.scrubbed);
    }
};

struct ReceiptScopeUse {
    std::string scope;
    std::uint64_t exchanges = 0;
    std::string first;  ///< RFC 3339
    std::string last;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("scope", self.scope);
        archive("exchanges", self.exchanges);
        archive("first", self.first);
        archive("last", self.last);
    }
};

/// Scopes of one service. `needed`: named by any allowed request; `used`: of the first set of needed scopes that the
/// grant names in full (else the first set, covered by implication), for exchanges that may have reached the upstream.
struct ReceiptService {
    std::string name;
    std::vector<std::string> granted;
    std::optional<std::vector<std::string>> received;  ///< null: no source said
    std::vector<std::string> needed;
    std::vector<ReceiptScopeUse> used;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("name", self.name);
        archive("granted", self.granted);
        archive("received", self.received);
        archive("needed", self.needed);
        archive("used", self.used);
    }
};

/// One lease. What is optional stands in every row of schema 2 and in none of schema 1.
struct ReceiptLease {
    std::string lease, service, account;
    std::string state;  ///< `held` here: no end is known
    std::vector<std::string> asked;
    std::optional<std::vector<std::string>> received;
    std::string narrowed_by, retire, thumbprint;
    std::string expires;  ///< empty: not known
    std::string held, ended;
    /// Requests with it, and when: the vault's word, or that of the records of exchanges where they name more (a vault
    /// that was killed has not told its last second).
    std::uint64_t uses = 0;
    std::optional<std::string> first_used, last_used;  ///< RFC 3339; empty: never used
    std::optional<bool> confirmed;      ///< it is over: given back, or its time has passed; false: may be alive, as
                                        ///< what the operator stored (`retire` is none) always is
    std::optional<std::string> detail;  ///< why and how it ended, as the vault said it; at most kReceiptDetailBytesMax
    std::optional<std::uint64_t> told_uses;  ///< not written: fewer, by the vault alone; what schema 1 says instead
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("lease", self.lease);
        archive("service", self.service);
        archive("account", self.account);
        archive("state", self.state);
        archive("asked", self.asked);
        archive("received", self.received);
        archive("narrowed_by", self.narrowed_by);
        archive("retire", self.retire);
        archive("thumbprint", self.thumbprint);
        archive("expires", self.expires);
        archive("held", self.held);
        archive("ended", self.ended);
        archive("uses", self.uses);
        if (std::is_const_v<Self> && !self.confirmed) return;
        archive("first_used", self.first_used);
        archive("last_used", self.last_used);
        archive("confirmed", self.confirmed);
        archive("detail", self.detail);
    }
};

struct ReceiptApproval {
    std::string approval, exchange, digest, state, by, channel;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("approval", self.approval);
        archive("exchange", self.exchange);
        archive("digest", self.digest);
        archive("state", self.state);
        archive("by", self.by);
        archive("channel", self.channel);
    }
};

/// A mission that the agent started as a part of this one.
struct ReceiptChild {
    std::string mission, name, profile_sha256, started;
    std::string ended;    ///< empty: no end is known
    std::string reason;   ///< as ReceiptEnd's; empty while there is no end
    int code = 0;
    std::string receipt;  ///< hex SHA-256 of its receipt.json; empty: not known
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        archive("name", self.name);
        archive("profile_sha256", self.profile_sha256);
        archive("started", self.started);
        archive("ended", self.ended);
        archive("reason", self.reason);
        archive("code", self.code);
        archive("receipt", self.receipt);
    }
};

struct ReceiptHead {
    std::uint64_t seq = 0;
    wire::Digest hash{};
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("seq", self.seq);
        archive("hash", self.hash);
    }
};

/// What is written; the one before is read as well.
inline constexpr std::string_view kReceiptSchema = "sanctum.receipt/2";
inline constexpr std::string_view kFirstReceiptSchema = "sanctum.receipt/1";  ///< uses as the vault told them alone

struct Receipt {
    std::string schema{kReceiptSchema};
    std::string mission, name, agent, purpose, profile_sha256;
    std::vector<std::string> overrides, command;
    std::string key, started, ended;
    ReceiptEnd end;
    ReceiptEnforced enforced;
    ReceiptCounts counts;
    std::vector<ReceiptService> services;
    std::map<std::string, std::uint64_t> hosts;  ///< exchanges per plain host entry
    std::vector<ReceiptLease> leases;
    std::map<std::string, std::uint64_t> lease_ends;
    std::vector<ReceiptApproval> approvals;
    std::uint64_t more_rows = 0;  ///< leases and approvals above kReceiptRowsMax
    std::vector<std::string> held_files;
    std::uint64_t repaired = 0;
    std::uint64_t records_lost = 0;
    std::optional<std::vector<std::string>> held_sha256;  ///< as MissionEnded's; absent where none was held
    std::optional<WitnessCount> witness;  ///< absent without a witness; the last head is counted when it was waited for
    std::optional<std::string> parent;  ///< mission whose agent started this one; absent: a person did
    std::optional<std::vector<ReceiptChild>> children;  ///< absent where there were none
    std::optional<std::map<std::string, std::uint64_t>> children_refused;  ///< by reason
    ReceiptHead head;
    wire::Digest previous{};  ///< SHA-256 of the line before in receipts.jsonl; zeros for the first
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("schema", self.schema);
        archive("mission", self.mission);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("profile_sha256", self.profile_sha256);
        archive("overrides", self.overrides);
        archive("command", self.command);
        archive("key", self.key);
        archive("started", self.started);
        archive("ended", self.ended);
        archive("end", self.end);
        archive("enforced", self.enforced);
        archive("counts", self.counts);
        archive("services", self.services);
        archive("hosts", self.hosts);
        archive("leases", self.leases);
        archive("lease_ends", self.lease_ends);
        archive("approvals", self.approvals);
        archive("more_rows", self.more_rows);
        archive("held_files", self.held_files);
        archive("repaired", self.repaired);
        archive("records_lost", self.records_lost);
        // Absent, not null: a receipt without one keeps the bytes that it always had.
        if (!std::is_const_v<Self> || self.held_sha256) archive("held_sha256", self.held_sha256);
        if (!std::is_const_v<Self> || self.witness) archive("witness", self.witness);
        if (!std::is_const_v<Self> || self.parent) archive("parent", self.parent);
        if (!std::is_const_v<Self> || self.children) archive("children", self.children);
        if (!std::is_const_v<Self> || self.children_refused) archive("children_refused", self.children_refused);
        archive("head", self.head);
        archive("previous", self.previous);
    }
};

/// Sums records up. Memory is bounded whatever passes (kReceiptRowsMax, kLedgerOpenExchangesMax).
class ReceiptBuilder {
public:
    ReceiptBuilder();
    ReceiptBuilder(ReceiptBuilder&&) noexcept;
    ReceiptBuilder& operator=(ReceiptBuilder&&) noexcept;
    ~ReceiptBuilder();

    /// Takes one record of `mission` in the order of the file.
    void add(std::string_view mission, std::int64_t unix_ms, const LineRecord& record);
    /// The receipt so far; `head` and `previous` are the caller's to fill.
    [[nodiscard]] Receipt build() const;
    /// Leases that were held and have no end yet.
    [[nodiscard]] std::vector<wire::LeaseChanged> open_leases() const;
    /// Exchanges with an intent and no end yet, in order.
    [[nodiscard]] std::vector<std::uint64_t> open_exchanges() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// `receipt` as a Sanctum that wrote `schema` (one of the two above) said it: its bytes are what that one signed.
[[nodiscard]] Receipt in_schema(Receipt receipt, std::string_view schema);

/// The receipt in words, for a human on a terminal: printable ASCII and newlines only.
[[nodiscard]] std::string render_receipt(const Receipt& receipt);

}  // namespace sanctum::ledger
