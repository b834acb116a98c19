// SPDX-License-Identifier: Apache-2.0
// The ledger of one mission: records in, a chained and signed JSON Lines file out (formats 6).
//
// One thread writes; append() hands a record over and returns at once. Durable records are grouped: one fsync serves
// all that wait. A write or fsync that fails is final: from then on nothing is recorded and every durable record is
// answered with `ok = false`, so nothing more is sent upstream.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/wire/messages.hpp"
#include "ledger/head_witness.hpp"
#include "ledger/keys.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sanctum::ledger {

struct MissionStarted {
    std::string agent;
    std::string name;
    std::string purpose;
    std::string profile_sha256;
    std::vector<std::string> overrides;
    std::vector<std::string> command;
    std::uint32_t landlock_abi = 0;
    std::string limits;  ///< cgroup2 | cgroup1 | rlimits | none
    std::vector<std::string> limits_missing;
    bool watch = false;
    std::map<std::string, std::vector<std::string>> granted;  ///< service name → scopes of its grant
    std::string parent{};  ///< id of the mission whose agent started this one; empty: a person did
};

/// A process as the watch saw it; every word of it is the agent's claim.
struct ClaimedProcess {
    std::uint32_t pid = 0;
    std::string exe;
    std::vector<std::string> chain;
};

struct ConnectionRecord {
    std::uint64_t connection = 0;
    std::string dialled;
    std::string name;
    std::optional<ClaimedProcess> process;
};

/// An attempt that never became a connection (no listener on that port, UDP), or a connection that ended before its
/// first request: its client does not trust the mission's certificate, its TLS failed, or it spoke something else.
struct ConnectionRefused {
    std::string dialled;
    std::string reason;
    std::optional<ClaimedProcess> process;
    std::uint64_t connection = 0;  ///< the one that was opened, whose record names the process; 0: none was
};

struct ApprovalChanged {
    std::string approval;
    std::uint64_t exchange = 0;
    wire::Digest digest{};
    std::string state;
    std::string by;
    std::string channel;
    std::int64_t until_unix_ms = 0;
};

/// The agent started a child mission; written before anything of it runs.
struct ChildStarted {
    std::string child;  ///< its mission id
    std::string name;
    std::string profile_sha256;
    std::vector<std::string> command;
};

/// The agent asked for a child mission and got none.
struct ChildRefused {
    std::string reason;  ///< request | descriptor | profile | wider | budget | limit | setup | ending
    std::string detail;  ///< what the agent was told
};

/// A child mission's record is closed, or its launcher is gone.
struct ChildEnded {
    std::string child;
    std::string reason;   ///< as MissionEnded's; `lost`: its launcher did not say
    int code = 0;
    std::string receipt;  ///< hex SHA-256 of its receipt.json; empty: not known
    std::string detail{};  ///< one sentence for the operator; empty: an ordinary end
};

struct MissionEnded {
    std::string reason;  ///< exit | signal | ttl | revoked | lost | setup
    int code = 0;
    std::uint64_t gone = 0, expired = 0, parked = 0, orphaned = 0;
    std::vector<std::string> held_files;
    std::uint64_t repaired = 0;      ///< unterminated lines that were cut; set by recover()
    std::uint64_t records_lost = 0;  ///< records that a full disk refused; set by seal()
    std::optional<WitnessCount> witness{};  ///< over the heads before this record; absent without one; set by seal()
    std::vector<std::string> held_sha256{};  ///< per held file, see runs_later::Held::digests; empty: none was held
};

using Record = std::variant<MissionStarted, ConnectionRecord, ConnectionRefused, wire::ExchangeIntent,
                            wire::ExchangeRefused, wire::ExchangeOutcome, wire::LeaseChanged, ApprovalChanged,
                            MissionEnded, ChildStarted, ChildRefused, ChildEnded>;

/// A durable record's fate.
struct Durable {
    std::uint64_t token = 0;
    bool ok = false;
};

/// What sealing gives: the paths a user is shown.
struct Sealed {
    std::string ledger_path;
    std::string receipt_path;
    wire::Digest head{};
    std::optional<WitnessCount> witness{};  ///< the last head included
    std::string witness_fault{};            ///< why a head was not told
};

/// The writer. Create it after the agent's process exists (it starts a thread). Single owner; append(), poll_durable()
/// and seal() from one thread.
class Ledger {
public:
    /// Creates missions/ID/{mission.json,ledger.jsonl} (0700/0600, O_EXCL, locked) and signs with `key`.
    /// `mission_json` is stored as given. `witness`, which outlives the ledger, is told of every head that is on disk.
    /// Errors: Io (with the folder named), Limit (disk full).
    [[nodiscard]] static Result<std::unique_ptr<Ledger>> create(const std::string& mission_folder,
                                                                const std::string& mission_id,
                                                                const std::string& mission_json,
                                                                const std::string& receipts_path, SigningKey key,
                                                                const Clock& clock, HeadWitness* witness = nullptr);
    virtual ~Ledger() = default;

    /// Queues a record; blocks only when the queue is at its bound.
    virtual void append(Record record) = 0;
    /// From here on records are kept together (kLedgerGatheredMax at most) until hand_over(), flush() or seal(): the
    /// writer is woken once for what came at once. See Gathering.
    virtual void gather() = 0;
    virtual void hand_over() = 0;
    /// Queues a record whose durability is reported under `token`.
    virtual void append_durable(Record record, std::uint64_t token) = 0;
    /// Readable when poll_durable() has something, and when writing has failed (ask has_failed()).
    [[nodiscard]] virtual int durable_fd() const = 0;
    [[nodiscard]] virtual std::vector<Durable> poll_durable() = 0;
    /// Waits until everything so far is on disk. False when writing has failed.
    [[nodiscard]] virtual bool flush() = 0;
    [[nodiscard]] virtual bool has_failed() const = 0;
    /// Appends mission.ended, signs the last head, writes the receipt and appends to receipts.jsonl; ends the thread.
    [[nodiscard]] virtual Result<Sealed> seal(MissionEnded ended) = 0;
};

/// While it lives, records are gathered. Nothing may be waited for meanwhile: they are on no disk.
class Gathering {
public:
    explicit Gathering(Ledger& ledger) : ledger_(ledger) { ledger_.gather(); }
    ~Gathering() { ledger_.hand_over(); }
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;

private:
    Ledger& ledger_;
};

}  // namespace sanctum::ledger
