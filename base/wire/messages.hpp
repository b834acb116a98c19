// SPDX-License-Identifier: Apache-2.0
// The messages between launcher (L), interceptor (I), dialler (D) and vault (V): formats 9, one struct each.
//
// Control messages travel as JSON heads, per-exchange messages as binary heads; `kind_of` and `is_json` say which.
// Secret bytes are never a field: they travel beside the head (Packet::secret). Descriptors are named by the
// `descriptors` field, one role per descriptor, in order. Private to a build: `hello` compares build ids.
#pragma once

#include "base/wire/archive.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sanctum::wire {

/// Number of a message kind; the low byte stays below 0x20 so that a binary head never begins like JSON.
enum class Kind : std::uint16_t {
    Hello = 1,
    StartInterceptor,
    StartVault,
    InterceptorReady,
    VaultReady,
    ConnectionOpened,
    ConnectionRefused,
    ExchangeIntent,
    Recorded,
    ExchangeRefused,
    ExchangeOutcome,
    Ask,
    Answer,
    Withdraw,
    Approved,
    LeaseNeed,
    LeaseHeld,
    LeaseFailed,
    LeaseUsed,
    LeaseGone,
    LeaseChanged,
    Dial,
    Dialled,
    Stop,
    Stopped,
    Retire,
    Retired,
    Failed,
    RevokeService,
    ShareBudget,
    BudgetShared,
    ChildOffered,
    ChildAdmitted,
    ChildRefused,
    ChildEnded,
    EndChild,
    LoginNeed,
    LoginAnswered,
};
[[nodiscard]] const char* name_of(Kind kind);

/// L ← I, V: first message of each child.
struct Hello {
    static constexpr Kind kind = Kind::Hello;
    static constexpr bool is_json = true;
    std::string build;  ///< build id; another build is refused
    std::string role;   ///< interceptor | vault
    std::uint64_t pid = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("build", self.build);
        archive("role", self.role);
        archive("pid", self.pid);
    }
};

/// L → I. Descriptor roles: `mission` (profiles::Mission as JSON), `upstream` (profiles::UpstreamConfig as JSON),
/// `catalog:NAME` (compiled entry, one per catalog entry of the mission), `listen:PORT` and `listen6:PORT` (TCP
/// listeners inside the agent's network namespace, IPv4 any and IPv6 any, close-on-exec, non-blocking), `dns-udp`,
/// `dns-udp6`, `dns-tcp`, `dns-tcp6`, `sock-diag` (NETLINK_SOCK_DIAG socket of the agent's namespace), `vault`
/// (SOCK_SEQPACKET to the vault).
struct StartInterceptor {
    static constexpr Kind kind = Kind::StartInterceptor;
    static constexpr bool is_json = true;
    std::string mission;  ///< id, lower-case ULID
    std::string salt;     ///< hex, 32 bytes: keys body digests
    std::int64_t ends_boot_ms = 0;  ///< CLOCK_BOOTTIME of the mission's hard end
    std::vector<std::string> descriptors;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        archive("salt", self.salt);
        archive("ends_boot_ms", self.ends_boot_ms);
        archive("descriptors", self.descriptors);
    }
};

/// L → V. Descriptor roles: `mission`, `accounts` (profiles::VaultConfig as JSON: store, accounts of this mission),
/// `interceptor` (SOCK_SEQPACKET to the interceptor), optionally `terminal` (opened /dev/tty for the passphrase).
struct StartVault {
    static constexpr Kind kind = Kind::StartVault;
    static constexpr bool is_json = true;
    std::string mission;
    std::string state_folder;  ///< absolute; holds state.db
    std::int64_t ends_boot_ms = 0;
    std::int64_t ends_unix_ms = 0;
    std::vector<std::string> descriptors;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        archive("state_folder", self.state_folder);
        archive("ends_boot_ms", self.ends_boot_ms);
        archive("ends_unix_ms", self.ends_unix_ms);
        archive("descriptors", self.descriptors);
    }
};

/// I → L: everything is confined and serving.
struct InterceptorReady {
    static constexpr Kind kind = Kind::InterceptorReady;
    static constexpr bool is_json = true;
    std::string ca_pem;  ///< the mission CA's certificate
    std::uint64_t dialler_pid = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("ca_pem", self.ca_pem);
        archive("dialler_pid", self.dialler_pid);
    }
};

/// V → L: the store is unlocked where it had to be, the journal is open.
struct VaultReady {
    static constexpr Kind kind = Kind::VaultReady;
    static constexpr bool is_json = true;
    std::vector<std::string> services;  ///< for which a credential can be had
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("services", self.services); }
};

/// I, V → L: start-up or a broken invariant; the sender ends after it. The mission cannot go on.
struct Failed {
    static constexpr Kind kind = Kind::Failed;
    static constexpr bool is_json = true;
    std::string what;    ///< one sentence with place and remedy, no secret
    std::string reason;  ///< `store_locked`, `store_passphrase`, `setup`, `internal`
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("what", self.what);
        archive("reason", self.reason);
    }
};

/// I → L, per accepted agent connection.
struct ConnectionOpened {
    static constexpr Kind kind = Kind::ConnectionOpened;
    static constexpr bool is_json = false;
    std::uint64_t connection = 0;  ///< shown as `c1`, counted from 1
    std::uint64_t cookie = 0;      ///< SO_COOKIE of the agent's socket, 0 when not found
    std::string dialled;           ///< `198.18.0.4:443`
    std::string name;              ///< the host name our DNS gave that address to; empty when none
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("connection", self.connection);
        archive("cookie", self.cookie);
        archive("dialled", self.dialled);
        archive("name", self.name);
    }
};

/// I → L, for an accepted connection that ended before its first request could be read.
struct ConnectionRefused {
    static constexpr Kind kind = Kind::ConnectionRefused;
    static constexpr bool is_json = false;
    std::uint64_t connection = 0;  ///< the one that was opened
    std::string dialled;           ///< `198.18.0.4:443`
    std::string reason;            ///< certificate_not_trusted | tls_handshake | not_tls
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("connection", self.connection);
        archive("dialled", self.dialled);
        archive("reason", self.reason);
    }
};

/// I → L before the first upstream byte. With `durable` the interceptor waits for `recorded`.
struct ExchangeIntent {
    static constexpr Kind kind = Kind::ExchangeIntent;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::uint64_t connection = 0;
    bool durable = false;
    std::string service;    ///< profile's name of the service or host entry
    std::string operation;  ///< catalog id, e.g. `git.push`; `METHOD` for plain hosts
    std::string method;
    std::string host;
    std::string path;
    std::map<std::string, std::string> query;  ///< only parameters that the catalog names as resources
    std::vector<std::vector<std::string>> needed;  ///< any-of sets of scopes
    std::map<std::string, std::vector<std::string>> resources;
    std::string risk;
    std::string verdict;
    std::string rule;
    std::string lease;     ///< empty: none
    std::string approval;  ///< empty: none
    Digest head{};
    std::optional<Digest> body;  ///< held requests only
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("connection", self.connection);
        archive("durable", self.durable);
        archive("service", self.service);
        archive("operation", self.operation);
        archive("method", self.method);
        archive("host", self.host);
        archive("path", self.path);
        archive("query", self.query);
        archive("needed", self.needed);
        archive("resources", self.resources);
        archive("risk", self.risk);
        archive("verdict", self.verdict);
        archive("rule", self.rule);
        archive("lease", self.lease);
        archive("approval", self.approval);
        archive("head", self.head);
        archive("body", self.body);
    }
};

/// L → I: answers a durable intent. `ok` false: nothing may be sent (`record_unavailable`).
struct Recorded {
    static constexpr Kind kind = Kind::Recorded;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    bool ok = false;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("ok", self.ok);
    }
};

/// I → L: nothing was sent upstream for this exchange.
struct ExchangeRefused {
    static constexpr Kind kind = Kind::ExchangeRefused;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::uint64_t connection = 0;
    std::string service;
    std::string operation;
    std::string method;
    std::string host;
    std::string path;
    std::string reason;  ///< reason_code of formats 8
    std::string rule;    ///< name only: `resources.ref`, `rule[2]`, empty
    std::uint16_t status = 0;       ///< the reason's
    std::uint16_t sent_status = 0;  ///< what the agent got, where that differs (a push's report is a 200); 0: the same
    std::string detail;  ///< for the operator; never sent to the agent; no secret
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("connection", self.connection);
        archive("service", self.service);
        archive("operation", self.operation);
        archive("method", self.method);
        archive("host", self.host);
        archive("path", self.path);
        archive("reason", self.reason);
        archive("rule", self.rule);
        archive("status", self.status);
        archive("sent_status", self.sent_status);
        archive("detail", self.detail);
    }
};

/// I → L after the last byte, or when the exchange broke. Every intent gets exactly one.
struct ExchangeOutcome {
    static constexpr Kind kind = Kind::ExchangeOutcome;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::uint16_t status = 0;     ///< upstream's status, 0 when none came
    /// complete | agent_closed | request_invalid | upstream_closed |
    /// upstream_protocol | timeout | scrub_stopped | login_failed | mission_ended
    std::string outcome;
    std::uint64_t sent = 0;       ///< request body bytes
    std::uint64_t received = 0;   ///< response body bytes
    Digest body{};                ///< SHA-256(salt, unframed request body)
    std::uint64_t scrubbed = 0;   ///< secrets removed from the response
    std::map<std::string, std::string> evidence;  ///< scope headers of the response
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("status", self.status);
        archive("outcome", self.outcome);
        archive("sent", self.sent);
        archive("received", self.received);
        archive("body", self.body);
        archive("scrubbed", self.scrubbed);
        archive("evidence", self.evidence);
    }
};

/// I → L: a held request waits for a human.
struct Ask {
    static constexpr Kind kind = Kind::Ask;
    static constexpr bool is_json = true;
    std::uint64_t exchange = 0;
    std::string verdict;  ///< ask | step-up
    Digest digest{};
    std::string card;     ///< what a human is shown, JSON
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("verdict", self.verdict);
        archive("digest", self.digest);
        archive("card", self.card);
    }
};

/// L → I. `reason` is empty when approved, else a reason_code of formats 8.
struct Answer {
    static constexpr Kind kind = Kind::Answer;
    static constexpr bool is_json = true;
    std::uint64_t exchange = 0;
    std::string reason;
    std::string approval;
    Digest digest{};
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("reason", self.reason);
        archive("approval", self.approval);
        archive("digest", self.digest);
    }
};

/// I → L: the agent went away while its request was held.
struct Withdraw {
    static constexpr Kind kind = Kind::Withdraw;
    static constexpr bool is_json = true;
    std::uint64_t exchange = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("exchange", self.exchange); }
};

/// L → V: one elevated lease may be issued, once.
struct Approved {
    static constexpr Kind kind = Kind::Approved;
    static constexpr bool is_json = true;
    std::string approval;
    Digest digest{};
    std::string service;
    std::vector<std::string> scopes;
    std::int64_t expires_unix_ms = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("approval", self.approval);
        archive("digest", self.digest);
        archive("service", self.service);
        archive("scopes", self.scopes);
        archive("expires_unix_ms", self.expires_unix_ms);
    }
};

/// I → V: a credential for one exchange.
struct LeaseNeed {
    static constexpr Kind kind = Kind::LeaseNeed;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::string service;
    std::vector<std::string> scopes;  ///< sorted
    std::map<std::string, std::vector<std::string>> resources;
    std::string risk;
    std::string approval;
    std::string instead_of;  ///< the lease whose credential the upstream refused; empty: none
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("service", self.service);
        archive("scopes", self.scopes);
        archive("resources", self.resources);
        archive("risk", self.risk);
        archive("approval", self.approval);
        archive("instead_of", self.instead_of);
    }
};

/// V → I, with the credential as secret bytes beside it.
struct LeaseHeld {
    static constexpr Kind kind = Kind::LeaseHeld;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::string lease;
    std::string form;      ///< bearer | basic | header | query | sigv4 | dpop | certificate
    std::string name;      ///< header or parameter name for header and query, service for sigv4
    std::string username;  ///< basic only
    std::int64_t expires_boot_ms = 0;
    std::uint32_t uses = 0;  ///< 0: any number until it expires; 1: this exchange only
    std::int64_t clock_offset_ms = 0;  ///< the provider's clock minus ours: what is signed with it bears its time
    /// certificate only: behind the token, the secret ends with so many bytes of certificates and then of their key,
    /// both PEM.
    std::uint32_t certificate_bytes = 0;
    std::uint32_t key_bytes = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("lease", self.lease);
        archive("form", self.form);
        archive("name", self.name);
        archive("username", self.username);
        archive("expires_boot_ms", self.expires_boot_ms);
        archive("uses", self.uses);
        archive("clock_offset_ms", self.clock_offset_ms);
        archive("certificate_bytes", self.certificate_bytes);
        archive("key_bytes", self.key_bytes);
    }
};

/// V → I: no credential; the exchange is refused with `credential_unavailable`.
struct LeaseFailed {
    static constexpr Kind kind = Kind::LeaseFailed;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    /// outside_mission | illegal_bytes | mission_ending | service_revoked | credential_refused (there is no other one
    /// than the one that the upstream refused) | a name of vault::SourceFault
    std::string reason;
    std::string detail;  ///< for the operator, no secret
    std::int64_t retry_after_ms = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("reason", self.reason);
        archive("detail", self.detail);
        archive("retry_after_ms", self.retry_after_ms);
    }
};

/// I → V: the agent asks its token endpoint; the vault asks there in its place.
struct LoginNeed {
    static constexpr Kind kind = Kind::LoginNeed;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::string service;
    std::string grant;  ///< authorization_code | refresh_token
    /// What the catalog lets through of the agent's request (its code); never one of the vault's own credentials.
    std::map<std::string, std::string> members;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("service", self.service);
        archive("grant", self.grant);
        archive("members", self.members);
    }
};

/// V → I: what the agent gets, in which the tokens are placeholders; or `reason`, and nothing else.
struct LoginAnswered {
    static constexpr Kind kind = Kind::LoginAnswered;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::uint16_t status = 0;
    std::string body;    ///< JSON
    std::string reason;  ///< as of LeaseFailed; empty: there is an answer
    std::string detail;  ///< for the operator, no secret
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("status", self.status);
        archive("body", self.body);
        archive("reason", self.reason);
        archive("detail", self.detail);
    }
};

/// I → V after the response head; `status` 0 when none came.
struct LeaseUsed {
    static constexpr Kind kind = Kind::LeaseUsed;
    static constexpr bool is_json = false;
    std::uint64_t exchange = 0;
    std::string lease;
    std::uint16_t status = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("exchange", self.exchange);
        archive("lease", self.lease);
        archive("status", self.status);
    }
};

/// V → I: stop injecting this lease at once and wipe it.
struct LeaseGone {
    static constexpr Kind kind = Kind::LeaseGone;
    static constexpr bool is_json = false;
    std::string lease;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("lease", self.lease); }
};

/// V → L: becomes the ledger's lease.changed record.
struct LeaseChanged {
    static constexpr Kind kind = Kind::LeaseChanged;
    static constexpr bool is_json = true;
    std::string lease;
    std::string service;
    std::string account;
    std::string state;  ///< held | gone | expired | parked | orphaned
    std::vector<std::string> asked;
    std::optional<std::vector<std::string>> received;  ///< null: the source does not say
    std::string narrowed_by;  ///< proxy | provider | both
    std::string retire;       ///< none | expires | self | accessor | kills-grant
    std::int64_t expires_unix_ms = 0;
    std::string thumbprint;   ///< hex SHA-256 of the credential
    std::uint64_t uses = 0;
    std::int64_t first_used_unix_ms = 0;
    std::int64_t last_used_unix_ms = 0;
    std::string detail;
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
        archive("expires_unix_ms", self.expires_unix_ms);
        archive("thumbprint", self.thumbprint);
        archive("uses", self.uses);
        archive("first_used_unix_ms", self.first_used_unix_ms);
        archive("last_used_unix_ms", self.last_used_unix_ms);
        archive("detail", self.detail);
    }
};

/// I → D: connect to a host entry by index. `labels` is what a leading `*.` of the entry stands for, else empty.
struct Dial {
    static constexpr Kind kind = Kind::Dial;
    static constexpr bool is_json = false;
    std::uint64_t dial = 0;
    std::uint32_t entry = 0;
    std::string labels;
    std::uint16_t port = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("dial", self.dial);
        archive("entry", self.entry);
        archive("labels", self.labels);
        archive("port", self.port);
    }
};

/// D → I with the connected descriptor, or `reason` (`upstream_address`, `upstream_unreachable`) and `detail`.
struct Dialled {
    static constexpr Kind kind = Kind::Dialled;
    static constexpr bool is_json = false;
    std::uint64_t dial = 0;
    std::string reason;
    std::string detail;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("dial", self.dial);
        archive("reason", self.reason);
        archive("detail", self.detail);
    }
};

/// L → I: accept nothing new, drain for so long, close everything, stop injecting.
struct Stop {
    static constexpr Kind kind = Kind::Stop;
    static constexpr bool is_json = true;
    std::int64_t drain_ms = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("drain_ms", self.drain_ms); }
};

/// I → L: nothing of the agent's is open any more; all outcomes were sent.
struct Stopped {
    static constexpr Kind kind = Kind::Stopped;
    static constexpr bool is_json = true;
    std::uint64_t exchanges = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("exchanges", self.exchanges); }
};

/// L → V: give everything back.
struct Retire {
    static constexpr Kind kind = Kind::Retire;
    static constexpr bool is_json = true;
    std::string reason;  ///< why the mission ended
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("reason", self.reason); }
};

/// L → I, L → V, and a parent's launcher → its children's: the operator took one service of the running mission back,
/// for good.
struct RevokeService {
    static constexpr Kind kind = Kind::RevokeService;
    static constexpr bool is_json = true;
    std::string service;  ///< of the mission's profile
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("service", self.service); }
};

/// L → I: a part of what is left of the mission's budget is a child mission's from here on, or nothing of it is.
struct ShareBudget {
    static constexpr Kind kind = Kind::ShareBudget;
    static constexpr bool is_json = true;
    std::uint64_t child = 0;            ///< comes back in the answer
    std::vector<std::uint64_t> shares;  ///< one for each budget line of the mission
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("child", self.child);
        archive("shares", self.shares);
    }
};

/// I → L: the answer. What was shared is never given back: the child may have spent all of it.
struct BudgetShared {
    static constexpr Kind kind = Kind::BudgetShared;
    static constexpr bool is_json = true;
    std::uint64_t child = 0;
    std::int64_t short_line = -1;  ///< the first line that has less left; -1: none, all is shared
    std::uint64_t left = 0;        ///< of that line
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("child", self.child);
        archive("short_line", self.short_line);
        archive("left", self.left);
    }
};

/// Child's launcher → parent's launcher: what it would run.
struct ChildOffered {
    static constexpr Kind kind = Kind::ChildOffered;
    static constexpr bool is_json = true;
    std::string mission, name, profile_sha256;
    std::vector<std::string> command;
    std::vector<std::uint64_t> shares;  ///< of the parent's budget, one for each of its lines
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        archive("name", self.name);
        archive("profile_sha256", self.profile_sha256);
        archive("command", self.command);
        archive("shares", self.shares);
    }
};

/// Parent → child: it is on the parent's record and may run.
struct ChildAdmitted {
    static constexpr Kind kind = Kind::ChildAdmitted;
    static constexpr bool is_json = true;
    std::string mission;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("mission", self.mission); }
};

/// Child → parent: the agent's request was refused. Parent → child: the offer is.
struct ChildRefused {
    static constexpr Kind kind = Kind::ChildRefused;
    static constexpr bool is_json = true;
    std::string reason;  ///< a word of the ledger's record `child.refused`
    std::string what;    ///< for the record; from the parent also for the agent
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("reason", self.reason);
        archive("what", self.what);
    }
};

/// Child → parent: the admitted mission has ended and its record is closed.
struct ChildEnded {
    static constexpr Kind kind = Kind::ChildEnded;
    static constexpr bool is_json = true;
    std::string reason;  ///< exit | signal | ttl | revoked | lost | setup
    std::int64_t code = 0;
    std::string receipt;  ///< hex SHA-256 of receipt.json; empty: there is none
    std::string what;     ///< one sentence for the operator; empty: an ordinary end
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("reason", self.reason);
        archive("code", self.code);
        archive("receipt", self.receipt);
        archive("what", self.what);
    }
};

/// Parent → child: end as if revoked.
struct EndChild {
    static constexpr Kind kind = Kind::EndChild;
    static constexpr bool is_json = true;
    std::string why;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) { archive("why", self.why); }
};

/// V → L: every lease has its end; sent after the last LeaseChanged.
struct Retired {
    static constexpr Kind kind = Kind::Retired;
    static constexpr bool is_json = true;
    std::uint64_t gone = 0;
    std::uint64_t expired = 0;
    std::uint64_t parked = 0;
    std::uint64_t orphaned = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("gone", self.gone);
        archive("expired", self.expired);
        archive("parked", self.parked);
        archive("orphaned", self.orphaned);
    }
};

}  // namespace sanctum::wire
