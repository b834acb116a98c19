// SPDX-License-Identifier: Apache-2.0
// Records as they stand in the file: the forms that only the ledger knows, and the direct serialiser (formats 6).
//
// No JSON tree is built: one record costs a few microseconds, so that the ledger never holds the proxy up. Reading is
// read_ledger.hpp; a test keeps both sides equal.
#pragma once

#include "ledger/ledger.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace sanctum::ledger {

/// One refused exchange, or `repeated` equal ones in one record: then `refused.exchange` is the first and
/// `last_exchange` the last of them, and members in which they differ are empty (null in the file).
struct Refusals {
    wire::ExchangeRefused refused;
    std::uint64_t repeated = 1;
    std::uint64_t last_exchange = 0;
};

/// The same for connections that were never opened.
struct RefusedConnections {
    ConnectionRefused refused;
    std::uint64_t repeated = 1;
};

/// A signed head: `head` is the hash of record `head_seq`, the one just before.
struct HeadSigned {
    std::uint64_t head_seq = 0;
    wire::Digest head{};
    std::string signature;  ///< base64
};

/// mission.started with what the ledger itself knows.
struct StartedLine {
    MissionStarted started;
    std::string key;      ///< SigningKey::id()
    std::string boot_id;  ///< of the machine's boot; empty when unknown
    std::int64_t boot_ms = 0;
};

using LineRecord = std::variant<StartedLine, ConnectionRecord, RefusedConnections, wire::ExchangeIntent, Refusals,
                                wire::ExchangeOutcome, wire::LeaseChanged, ApprovalChanged, HeadSigned, MissionEnded,
                                ChildStarted, ChildRefused, ChildEnded>;

/// What stands before a record's own members.
struct LineHead {
    std::uint64_t seq = 0;
    std::int64_t unix_ms = 0;
    std::string_view mission;
    wire::Digest prev{};
};

/// The `type` member: `mission.started`, `exchange.intent`, …
[[nodiscard]] std::string_view type_of(const LineRecord& record);

/// Appends the record's line without its `\n`.
void append_line(std::string& out, const LineHead& head, const LineRecord& record);

/// Cuts what the agent or the caller chose to kLedgerWordBytesMax and kLedgerListBytesMax; what was cut is said in
/// the text itself (`…(70000 bytes)`, `…(12 more)`). Times are held within what RFC 3339 can say.
void bound_record(LineRecord& record);

/// The bytes that a head's signature covers.
[[nodiscard]] std::string head_message(std::string_view mission, std::uint64_t head_seq, const wire::Digest& head);

/// Standard base64 with padding (RFC 4648), and its strict inverse.
[[nodiscard]] std::string to_base64(std::string_view bytes);
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

/// The inverse of format_rfc3339; nullopt for any other form.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text);

}  // namespace sanctum::ledger
