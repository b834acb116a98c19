// SPDX-License-Identifier: Apache-2.0
#include "ledger/read_ledger.hpp"

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::ledger {
namespace {

using wire::JsonNode;

// Takes members out of one JSON object; the first that is missing or of another type is the fault.
class Members {
public:
    explicit Members(JsonNode node) : node_(node) {}

    [[nodiscard]] const std::string& fault() const { return fault_; }

    std::string text(std::string_view name) { return take(name, &JsonNode::text); }
    std::string text_or_null(std::string_view name) { return is_null(name) ? std::string() : text(name); }
    // A member that older or shorter records do not have.
    std::string optional_text(std::string_view name) { return has(name) ? text_or_null(name) : std::string(); }
    std::uint64_t natural(std::string_view name) { return take(name, &JsonNode::natural); }
    std::uint64_t optional_natural(std::string_view name, std::uint64_t otherwise) {
        return has(name) ? natural(name) : otherwise;
    }
    std::int64_t integer(std::string_view name) { return take(name, &JsonNode::integer); }
    bool boolean(std::string_view name) { return take(name, &JsonNode::boolean); }

    template <class Number>
    Number narrow(std::string_view name) {
        const std::int64_t value = integer(name);
        if (std::in_range<Number>(value)) return static_cast<Number>(value);
        fail(name);
        return {};
    }
    // `c12` → 12; null → 0.
    std::uint64_t id(std::string_view name, char letter) {
        if (is_null(name)) return 0;
        const std::string value = text(name);
        std::uint64_t number = 0;
        const char* end = value.data() + value.size();
        const bool is_id = value.size() > 1 && value[0] == letter && value[1] != '0';
        const auto parsed = std::from_chars(is_id ? value.data() + 1 : end, end, number);
        if (!is_id || parsed.ec != std::errc{} || parsed.ptr != end) fail(name);
        return number;
    }
    std::uint64_t optional_id(std::string_view name, char letter) { return has(name) ? id(name, letter) : 0; }
    wire::Digest digest(std::string_view name) {
        wire::Digest out{};
        const std::optional<std::string> bytes = wire::from_hex(text(name));
        if (!bytes || bytes->size() != out.size()) {
            fail(name);
            return out;
        }
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>((*bytes)[i]);
        return out;
    }
    std::int64_t time(std::string_view name) {
        if (is_null(name)) return 0;
        const std::optional<std::int64_t> unix_ms = parse_rfc3339(text(name));
        if (!unix_ms) fail(name);
        return unix_ms.value_or(0);
    }
    std::int64_t optional_time(std::string_view name) { return has(name) ? time(name) : 0; }
    std::vector<std::string> words(std::string_view name) {
        const std::optional<JsonNode> member = node_.member(name);
        if (!member) {
            fail(name);
            return {};
        }
        return words_of(*member, name);
    }
    std::vector<std::vector<std::string>> lists(std::string_view name) {
        std::vector<std::vector<std::string>> out;
        for (const JsonNode& element : take(name, &JsonNode::elements)) out.push_back(words_of(element, name));
        return out;
    }
    std::map<std::string, std::string> pairs(std::string_view name) {
        std::map<std::string, std::string> out;
        for (const auto& [key, value] : take(name, &JsonNode::members)) {
            const std::optional<std::string> text = value.text();
            if (!text) fail(name);
            else out[key] = *text;
        }
        return out;
    }
    std::map<std::string, std::vector<std::string>> word_lists(std::string_view name) {
        std::map<std::string, std::vector<std::string>> out;
        for (const auto& [key, value] : take(name, &JsonNode::members)) out[key] = words_of(value, name);
        return out;
    }
    [[nodiscard]] bool has(std::string_view name) const { return node_.member(name).has_value(); }
    [[nodiscard]] bool is_null(std::string_view name) const {
        const std::optional<JsonNode> member = node_.member(name);
        return member && member->is_null();
    }
    [[nodiscard]] Members object(std::string_view name) {
        const std::optional<JsonNode> member = node_.member(name);
        if (!member || !member->members()) fail(name);
        return Members(member.value_or(node_));
    }
    void fail(std::string_view name) {
        if (fault_.empty()) fault_ = name;
    }
    void fail_with(const Members& inner, std::string_view name) {
        if (!inner.fault_.empty()) fail(std::string(name) + "." + inner.fault_);
    }

private:
    template <class T>
    T take(std::string_view name, std::optional<T> (JsonNode::*read)() const) {
        const std::optional<JsonNode> member = node_.member(name);
        std::optional<T> value = member ? ((*member).*read)() : std::nullopt;
        if (!value) fail(name);
        return value ? std::move(*value) : T{};
    }
    std::vector<std::string> words_of(JsonNode node, std::string_view name) {
        std::vector<std::string> out;
        const auto elements = node.elements();
        if (!elements) {
            fail(name);
            return out;
        }
        for (const JsonNode& element : *elements) {
            const std::optional<std::string> text = element.text();
            if (!text) fail(name);
            else out.push_back(*text);
        }
        return out;
    }

    JsonNode node_;
    std::string fault_;
};

std::optional<ClaimedProcess> read_process(Members& in) {
    if (in.is_null("process")) return std::nullopt;
    Members object = in.object("process");
    ClaimedProcess process;
    process.pid = object.narrow<std::uint32_t>("pid");
    process.exe = object.text("exe");
    process.chain = object.words("chain");
    if (!object.boolean("claimed")) object.fail("claimed");
    in.fail_with(object, "process");
    return process;
}

StartedLine read_started(Members& in) {
    StartedLine line;
    MissionStarted& started = line.started;
    started.agent = in.text("agent");
    started.profile_sha256 = in.text("profile_sha256");
    started.overrides = in.words("overrides");
    started.command = in.words("command");
    Members enforced = in.object("enforced");
    started.landlock_abi = enforced.narrow<std::uint32_t>("landlock_abi");
    started.limits = enforced.text("limits");
    if (enforced.has("limits_missing")) started.limits_missing = enforced.words("limits_missing");
    started.watch = enforced.boolean("watch");
    in.fail_with(enforced, "enforced");
    line.key = in.text("key");
    started.name = in.text("name");
    started.purpose = in.text("purpose");
    started.granted = in.word_lists("granted");
    line.boot_id = in.text_or_null("boot_id");
    line.boot_ms = in.integer("boot_ms");
    if (in.has("parent")) started.parent = in.text("parent");
    return line;
}

ConnectionRecord read_connection(Members& in) {
    ConnectionRecord record;
    record.connection = in.id("connection", 'c');
    record.dialled = in.text("dialled");
    record.name = in.text_or_null("name");
    record.process = read_process(in);
    return record;
}

RefusedConnections read_refused_connection(Members& in) {
    RefusedConnections record;
    record.refused.dialled = in.text_or_null("dialled");
    record.refused.reason = in.text("reason");
    record.refused.process = read_process(in);
    record.refused.connection = in.optional_id("connection", 'c');
    record.repeated = in.optional_natural("repeated", 1);
    return record;
}

wire::ExchangeIntent read_intent(Members& in) {
    wire::ExchangeIntent record;
    record.exchange = in.id("exchange", 'e');
    record.connection = in.id("connection", 'c');
    record.service = in.text_or_null("service");
    record.operation = in.text_or_null("operation");
    record.method = in.text("method");
    record.host = in.text("host");
    record.path = in.text("path");
    record.query = in.pairs("query");
    record.needed = in.lists("needed");
    record.resources = in.word_lists("resources");
    record.risk = in.text("risk");
    record.verdict = in.text("verdict");
    record.rule = in.text_or_null("rule");
    record.lease = in.text_or_null("lease");
    record.approval = in.text_or_null("approval");
    record.head = in.digest("head");
    if (!in.is_null("body")) record.body = in.digest("body");
    return record;
}

Refusals read_refused(Members& in) {
    Refusals record;
    wire::ExchangeRefused& refused = record.refused;
    refused.exchange = in.id("exchange", 'e');
    refused.connection = in.id("connection", 'c');
    refused.service = in.text_or_null("service");
    refused.operation = in.text_or_null("operation");
    refused.method = in.text_or_null("method");
    refused.host = in.text_or_null("host");
    refused.path = in.text_or_null("path");
    refused.reason = in.text("reason");
    refused.rule = in.text_or_null("rule");
    refused.status = in.narrow<std::uint16_t>("status");
    if (in.has("sent_status")) refused.sent_status = in.narrow<std::uint16_t>("sent_status");
    refused.detail = in.optional_text("detail");
    record.repeated = in.optional_natural("repeated", 1);
    record.last_exchange = in.optional_id("last_exchange", 'e');
    return record;
}

wire::ExchangeOutcome read_outcome(Members& in) {
    wire::ExchangeOutcome record;
    record.exchange = in.id("exchange", 'e');
    record.status = in.narrow<std::uint16_t>("status");
    record.outcome = in.text("outcome");
    record.sent = in.natural("sent");
    record.received = in.natural("received");
    record.body = in.digest("body");
    record.scrubbed = in.natural("scrubbed");
    record.evidence = in.pairs("evidence");
    return record;
}

wire::LeaseChanged read_lease(Members& in) {
    wire::LeaseChanged record;
    record.lease = in.text("lease");
    record.service = in.text("service");
    record.account = in.text("account");
    record.state = in.text("state");
    record.asked = in.words("asked");
    if (!in.is_null("received")) record.received = in.words("received");
    record.narrowed_by = in.text("narrowed_by");
    record.retire = in.text("retire");
    record.expires_unix_ms = in.time("expires");
    record.thumbprint = in.text_or_null("thumbprint");
    record.uses = in.optional_natural("uses", 0);
    record.first_used_unix_ms = in.optional_time("first_used");
    record.last_used_unix_ms = in.optional_time("last_used");
    record.detail = in.optional_text("detail");
    return record;
}

ApprovalChanged read_approval(Members& in) {
    ApprovalChanged record;
    record.approval = in.text("approval");
    record.exchange = in.id("exchange", 'e');
    record.digest = in.digest("digest");
    record.state = in.text("state");
    record.by = in.text_or_null("by");
    record.channel = in.text_or_null("channel");
    record.until_unix_ms = in.time("until");
    return record;
}

HeadSigned read_head(Members& in) {
    HeadSigned record;
    record.head_seq = in.natural("head_seq");
    record.head = in.digest("head");
    record.signature = in.text("signature");
    return record;
}

MissionEnded read_ended(Members& in) {
    MissionEnded record;
    record.reason = in.text("reason");
    record.code = in.narrow<int>("code");
    Members leases = in.object("leases");
    record.gone = leases.natural("gone");
    record.expired = leases.natural("expired");
    record.parked = leases.natural("parked");
    record.orphaned = leases.natural("orphaned");
    in.fail_with(leases, "leases");
    record.held_files = in.words("held_files");
    record.repaired = in.natural("repaired");
    record.records_lost = in.optional_natural("records_lost", 0);
    if (in.has("held_sha256")) record.held_sha256 = in.words("held_sha256");
    if (!in.has("witness")) return record;
    Members witness = in.object("witness");
    record.witness = WitnessCount{witness.natural("told"), witness.natural("of")};
    in.fail_with(witness, "witness");
    return record;
}

ChildStarted read_child_started(Members& in) {
    ChildStarted record;
    record.child = in.text("child");
    record.name = in.text("name");
    record.profile_sha256 = in.text("profile_sha256");
    record.command = in.words("command");
    return record;
}

ChildRefused read_child_refused(Members& in) {
    ChildRefused record;
    record.reason = in.text("reason");
    record.detail = in.text("detail");
    return record;
}

ChildEnded read_child_ended(Members& in) {
    ChildEnded record;
    record.child = in.text("child");
    record.reason = in.text("reason");
    record.code = in.narrow<int>("code");
    record.receipt = in.text_or_null("receipt");
    record.detail = in.text_or_null("detail");
    return record;
}

struct Reader {
    std::string_view type;
    LineRecord (*read)(Members&);
};

template <auto read>
LineRecord as_line(Members& in) { return read(in); }

constexpr Reader kReaders[] = {
    {"mission.started", as_line<read_started>},       {"connection.opened", as_line<read_connection>},
    {"connection.refused", as_line<read_refused_connection>}, {"exchange.intent", as_line<read_intent>},
    {"exchange.refused", as_line<read_refused>},      {"exchange.outcome", as_line<read_outcome>},
    {"lease.changed", as_line<read_lease>},           {"approval.changed", as_line<read_approval>},
    {"head.signed", as_line<read_head>},              {"mission.ended", as_line<read_ended>},
    {"child.started", as_line<read_child_started>},   {"child.refused", as_line<read_child_refused>},
    {"child.ended", as_line<read_child_ended>},
};

// The state of a walk that is not its result.
class Walker {
public:
    Walker(Walk& walk, std::string_view mission, const VerifyingKey& key) : walk_(walk), mission_(mission), key_(key) {}

    // Empty when the record may follow what came before.
    [[nodiscard]] std::string fault_of(const ReadRecord& read) const {
        if (read.seq > walk_.records) {
            return std::to_string(read.seq - walk_.records) + " record(s) are missing before record " +
                std::to_string(read.seq);
        }
        if (read.seq < walk_.records) return "it says it is record " + std::to_string(read.seq);
        if (read.mission != mission_) return "it belongs to mission " + read.mission;
        const bool is_head = std::holds_alternative<HeadSigned>(read.record);
        if (std::holds_alternative<StartedLine>(read.record) != (walk_.records == 0)) {
            return walk_.records == 0 ? "the first record is not mission.started" : "the mission starts a second time";
        }
        if (walk_.is_ended && (!is_head || walk_.is_signed)) return "it stands behind the end of the mission";
        if (read.prev != walk_.head) return "";  // the chain is judged by the caller, who sees the next record too
        if (const auto* started = std::get_if<StartedLine>(&read.record)) {
            if (started->key != key_.id()) return "it names key " + started->key + ", not " + key_.id();
        }
        if (const auto* ended = std::get_if<MissionEnded>(&read.record)) return end_fault(*ended);
        return is_head ? head_fault(std::get<HeadSigned>(read.record)) : std::string();
    }

    void accept(const ReadRecord& read, const wire::Digest& hash, std::uint64_t bytes) {
        walk_.is_signed = std::holds_alternative<HeadSigned>(read.record);
        walk_.heads += walk_.is_signed ? 1 : 0;
        if (std::holds_alternative<MissionEnded>(read.record)) walk_.is_ended = true;
        walk_.receipt.add(mission_, read.unix_ms, read.record);
        walk_.head = hash;
        walk_.last_unix_ms = read.unix_ms;
        walk_.bytes += bytes;
        ++walk_.records;
    }

    [[nodiscard]] bool is_chained(const ReadRecord& read) const { return read.prev == walk_.head; }

private:
    [[nodiscard]] std::string end_fault(const MissionEnded& ended) const {
        const bool counts = !ended.witness || (ended.witness->of == walk_.heads && ended.witness->told <= walk_.heads);
        return counts ? "" : "its witness does not count the signed heads before it";
    }

    [[nodiscard]] std::string head_fault(const HeadSigned& head) const {
        if (head.head_seq + 1 != walk_.records || head.head != walk_.head) {
            return "the signed head names another record than the one before it";
        }
        const std::optional<std::string> signature = from_base64(head.signature);
        if (!signature || !key_.verify(head_message(mission_, head.head_seq, head.head), *signature)) {
            return "the head's signature is not by key " + key_.id();
        }
        return {};
    }

    Walk& walk_;
    std::string_view mission_;
    const VerifyingKey& key_;
};

// Where the chain tears between two records, one of them was changed. When the record after them names the second
// one correctly, it was the first.
Result<std::uint64_t> blame(LineReader& lines, std::string_view second, std::uint64_t second_number) {
    SANCTUM_TRY(const std::optional<Line> next, lines.next());
    if (second_number == 0) return second_number;
    if (!next || !next->is_terminated) return second_number - 1;
    const Result<ReadRecord> third = parse_record(next->text);
    return third && third->prev != sha256(second) ? second_number : second_number - 1;
}

}  // namespace

Result<std::optional<Line>> LineReader::next() {
    static constexpr std::size_t kChunkBytes = 256 * 1024;
    std::size_t searched = begin_;
    for (;;) {
        const std::size_t end = buffer_.find('\n', searched);
        if (end != std::string::npos) {
            Line line{buffer_.substr(begin_, end - begin_), true};
            consumed_ += line.text.size() + 1;
            begin_ = end + 1;
            return std::optional<Line>(std::move(line));
        }
        const std::size_t pending = buffer_.size() - begin_;
        if (pending > line_bytes_max_) {
            return Error{Errc::Limit, "a line is longer than " + std::to_string(line_bytes_max_) + " bytes"};
        }
        if (at_end_) {
            if (pending == 0) return std::optional<Line>();
            Line line{buffer_.substr(begin_), false};
            consumed_ += pending;
            begin_ = buffer_.size();
            return std::optional<Line>(std::move(line));
        }
        buffer_.erase(0, begin_);
        begin_ = 0;
        searched = buffer_.size();
        buffer_.resize(searched + kChunkBytes);
        ssize_t size = 0;
        do size = ::pread(fd_, buffer_.data() + searched, kChunkBytes, static_cast<off_t>(read_));
        while (size < 0 && errno == EINTR);
        buffer_.resize(searched + (size > 0 ? static_cast<std::size_t>(size) : 0));
        if (size < 0) return io_error("read");
        read_ += static_cast<std::uint64_t>(size);
        at_end_ = size == 0;
    }
}

Result<ReadRecord> parse_record(std::string_view line) {
    SANCTUM_TRY(const wire::JsonText json, wire::JsonText::parse(line));
    Members in(json.root());
    if (in.natural("v") > 1) return Error{Errc::Unsupported, "it was written by a newer Sanctum; verify with that one"};
    ReadRecord read;
    read.seq = in.natural("seq");
    read.unix_ms = in.time("t");
    const std::string type = in.text("type");
    read.mission = in.text("mission");
    read.prev = in.digest("prev");
    for (const Reader& reader : kReaders) {
        if (reader.type != type) continue;
        read.record = reader.read(in);
        if (in.fault().empty()) return read;
    }
    const std::string what = in.fault().empty() ? "type is unknown" : in.fault() + " is missing or of the wrong form";
    return Error{Errc::Protocol, "member " + what};
}

Result<Walk> walk_ledger(int fd, std::string_view mission, const VerifyingKey& key, const Visit& visit) {
    Walk walk;
    Walker walker(walk, mission, key);
    LineReader lines(fd, kLedgerLineBytesMax);
    const auto bad = [&](std::uint64_t record, std::string why) { walk.bad = BadRecord{record, std::move(why)}; };
    for (;;) {
        Result<std::optional<Line>> next = lines.next();
        if (!next && next.error().code != Errc::Limit) return std::move(next).error();
        if (!next) bad(walk.records, next.error().what);
        if (!next || !*next) return walk;
        const Line& line = **next;
        if (!line.is_terminated) {
            walk.torn_bytes = line.text.size();
            return walk;
        }
        const Result<ReadRecord> read = parse_record(line.text);
        const std::string fault = read ? walker.fault_of(*read) : read.error().what;
        if (!fault.empty()) {
            bad(walk.records, fault);
            return walk;
        }
        if (!walker.is_chained(*read)) {
            SANCTUM_TRY(const std::uint64_t number, blame(lines, line.text, walk.records));
            bad(number, number == walk.records ? "it does not name the record before it"
                                               : "its bytes are not those that the record after it names");
            return walk;
        }
        const wire::Digest hash = sha256(line.text);
        if (visit) visit(*read, hash);
        walker.accept(*read, hash, line.text.size() + 1);
    }
}

Result<UniqueFd> open_ledger(const std::string& mission_folder) {
    const std::string path = mission_folder + "/ledger.jsonl";
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) {
        Error error = io_error(path);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        return error;
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return io_error("stat " + path);
    if (!S_ISREG(status.st_mode)) return Error{Errc::Unsupported, path + ": not a regular file"};
    return fd;
}

Status for_each_record(const std::string& mission_folder, const VisitLine& visit) {
    SANCTUM_TRY(const UniqueFd fd, open_ledger(mission_folder));
    LineReader lines(fd.get(), kLedgerLineBytesMax);
    for (std::uint64_t number = 0;; ++number) {
        SANCTUM_TRY(const std::optional<Line> line, lines.next());
        if (!line || !line->is_terminated) return {};
        Result<ReadRecord> read = parse_record(line->text);
        if (!read) return std::move(read).error().in(mission_folder + ": record " + std::to_string(number));
        if (!visit(*read, line->text)) return {};
    }
}

Result<bool> is_alive(const std::string& mission_folder) {
    SANCTUM_TRY(const UniqueFd fd, open_ledger(mission_folder));
    if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return false;
    if (errno == EWOULDBLOCK) return true;
    return io_error("lock " + mission_folder + "/ledger.jsonl");
}

}  // namespace sanctum::ledger
