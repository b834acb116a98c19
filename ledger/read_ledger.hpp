// SPDX-License-Identifier: Apache-2.0
// Reading a ledger back, strictly and within bounds: lines, records, and the walk that checks the whole chain.
//
// verify, recover, `sanctum audit show` and `explain DECISION` all read through here.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "ledger/keys.hpp"
#include "ledger/receipt.hpp"
#include "ledger/record_lines.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sanctum::ledger {

/// One line of a file of lines.
struct Line {
    std::string text;            ///< without `\n`
    bool is_terminated = false;  ///< false: the file ends without a `\n`
};

/// Reads a file of lines from its start with pread; memory is bounded by one line. Borrows the descriptor.
class LineReader {
public:
    LineReader(int fd, std::size_t line_bytes_max) : fd_(fd), line_bytes_max_(line_bytes_max) {}
    /// The next line, or nullopt at the end. Errors: Io, Limit (a line longer than the bound).
    [[nodiscard]] Result<std::optional<Line>> next();
    /// Offset just behind the last line given out.
    [[nodiscard]] std::uint64_t offset() const { return consumed_; }

private:
    int fd_;
    std::size_t line_bytes_max_;
    std::string buffer_;
    std::size_t begin_ = 0;
    std::uint64_t read_ = 0;
    std::uint64_t consumed_ = 0;
    bool at_end_ = false;
};

/// A record as read.
struct ReadRecord {
    std::uint64_t seq = 0;
    std::int64_t unix_ms = 0;
    std::string mission;
    wire::Digest prev{};
    LineRecord record;
};

/// Parses one line. Errors: Protocol (with the member named), Unsupported (written by a newer Sanctum).
[[nodiscard]] Result<ReadRecord> parse_record(std::string_view line);

/// The first record that cannot stand, and why.
struct BadRecord {
    std::uint64_t record = 0;
    std::string why;
};

/// What one pass over a ledger gives.
struct Walk {
    std::uint64_t records = 0;     ///< good ones
    std::uint64_t bytes = 0;       ///< of the good records, each with its `\n`
    std::uint64_t torn_bytes = 0;  ///< of an unterminated last line
    std::optional<BadRecord> bad;
    wire::Digest head{};           ///< hash of the last good record
    std::int64_t last_unix_ms = 0;
    bool is_ended = false;         ///< mission.ended was seen
    bool is_signed = false;        ///< the last record is a signed head
    std::uint64_t heads = 0;       ///< signed ones
    ReceiptBuilder receipt;        ///< fed with every good record
};

/// Called with every good record and its hash.
using Visit = std::function<void(const ReadRecord& record, const wire::Digest& hash)>;

/// Checks every line of the ledger of `mission` from `fd`: form, sequence, chain, mission, heads' signatures, nothing
/// but a head after the end. Stops at the first bad record. Errors: Io only; what is wrong with the ledger is in `bad`.
[[nodiscard]] Result<Walk> walk_ledger(int fd, std::string_view mission, const VerifyingKey& key,
                                       const Visit& visit = {});

/// Reads every whole record without judging the chain, until `visit` says false; a torn last line is passed over.
/// `text` is the record's line. Errors: NotFound, Unsupported, Io, Protocol (with the record's number).
using VisitLine = std::function<bool(const ReadRecord& record, const std::string& text)>;
[[nodiscard]] Status for_each_record(const std::string& mission_folder, const VisitLine& visit);

/// Opens missions/ID/ledger.jsonl for reading: no link, a regular file. Errors: NotFound, Unsupported, Io.
[[nodiscard]] Result<UniqueFd> open_ledger(const std::string& mission_folder);

/// True while a launcher (or a reaper) holds the ledger's lock. Errors: NotFound, Io.
[[nodiscard]] Result<bool> is_alive(const std::string& mission_folder);

}  // namespace sanctum::ledger
