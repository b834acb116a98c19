// SPDX-License-Identifier: Apache-2.0
#include "ledger/record_lines.hpp"

#include "base/clock.hpp"
#include "base/limits.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace sanctum::ledger {
namespace {

// Appends `,"name":value` members; the object is open already. Names are literals of ours and need no escaping.
class Members {
public:
    explicit Members(std::string& out) : out_(out) {}

    Members& text(std::string_view name, std::string_view value) {
        begin(name);
        wire::append_json_string(out_, value);
        return *this;
    }
    Members& text_or_null(std::string_view name, std::string_view value) {
        return value.empty() ? null(name) : text(name, value);
    }
    Members& null(std::string_view name) {
        begin(name);
        out_ += "null";
        return *this;
    }
    template <class Number>
    Members& number(std::string_view name, Number value) {
        begin(name);
        append_number(value);
        return *this;
    }
    Members& boolean(std::string_view name, bool value) {
        begin(name);
        out_ += value ? "true" : "false";
        return *this;
    }
    // `"c1"`; 0 is "none".
    Members& id(std::string_view name, char letter, std::uint64_t number) {
        if (number == 0) return null(name);
        begin(name);
        out_ += '"';
        out_ += letter;
        append_number(number);
        out_ += '"';
        return *this;
    }
    Members& digest(std::string_view name, const wire::Digest& value) {
        static constexpr char kHex[] = "0123456789abcdef";
        begin(name);
        out_ += '"';
        for (const std::uint8_t byte : value) {
            out_ += kHex[byte >> 4U];
            out_ += kHex[byte & 15U];
        }
        out_ += '"';
        return *this;
    }
    Members& time(std::string_view name, std::int64_t unix_ms) {
        if (unix_ms == 0) return null(name);
        return text(name, format_rfc3339(WallTime{unix_ms}));
    }
    template <class Value>
    Members& value(std::string_view name, const Value& value) {
        begin(name);
        append(value);
        return *this;
    }
    Members& process(const std::optional<ClaimedProcess>& process) {
        if (!process) return null("process");
        begin("process");
        out_ += '{';
        number("pid", process->pid).text("exe", process->exe).value("chain", process->chain);
        boolean("claimed", true);
        out_ += '}';
        return *this;
    }
    Members& open(std::string_view name) {
        begin(name);
        out_ += '{';
        return *this;
    }
    Members& close() {
        out_ += '}';
        return *this;
    }

private:
    void begin(std::string_view name) {
        if (out_.back() != '{') out_ += ',';
        out_ += '"';
        out_ += name;
        out_ += "\":";
    }
    template <class Number>
    void append_number(Number value) {
        std::array<char, 24> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
        out_.append(digits.data(), end);
    }
    void append(const std::string& value) { wire::append_json_string(out_, value); }
    template <class T>
    void append(const std::vector<T>& values) {
        out_ += '[';
        for (const T& value : values) {
            if (out_.back() != '[') out_ += ',';
            append(value);
        }
        out_ += ']';
    }
    template <class V>
    void append(const std::map<std::string, V>& values) {
        out_ += '{';
        for (const auto& [key, value] : values) {
            if (out_.back() != '{') out_ += ',';
            append(key);
            out_ += ':';
            append(value);
        }
        out_ += '}';
    }

    std::string& out_;
};

void put(Members& out, const StartedLine& line) {
    const MissionStarted& started = line.started;
    out.text("agent", started.agent).text("profile_sha256", started.profile_sha256);
    out.value("overrides", started.overrides).value("command", started.command);
    out.open("enforced").number("landlock_abi", started.landlock_abi).text("limits", started.limits);
    if (!started.limits_missing.empty()) out.value("limits_missing", started.limits_missing);
    out.boolean("watch", started.watch).close();
    out.text("key", line.key).text("name", started.name).text("purpose", started.purpose);
    out.value("granted", started.granted).text_or_null("boot_id", line.boot_id).number("boot_ms", line.boot_ms);
    if (!started.parent.empty()) out.text("parent", started.parent);
}

void put(Members& out, const ConnectionRecord& record) {
    out.id("connection", 'c', record.connection).text("dialled", record.dialled).text_or_null("name", record.name);
    out.process(record.process);
}

void put(Members& out, const RefusedConnections& record) {
    out.text_or_null("dialled", record.refused.dialled).text("reason", record.refused.reason);
    out.process(record.refused.process);
    if (record.refused.connection != 0) out.id("connection", 'c', record.refused.connection);
    if (record.repeated > 1) out.number("repeated", record.repeated);
}

void put(Members& out, const wire::ExchangeIntent& record) {
    out.id("exchange", 'e', record.exchange).id("connection", 'c', record.connection);
    out.text_or_null("service", record.service).text_or_null("operation", record.operation);
    out.text("method", record.method).text("host", record.host).text("path", record.path);
    out.value("query", record.query).value("needed", record.needed).value("resources", record.resources);
    out.text("risk", record.risk).text("verdict", record.verdict).text_or_null("rule", record.rule);
    out.text_or_null("lease", record.lease).text_or_null("approval", record.approval).digest("head", record.head);
    if (record.body) out.digest("body", *record.body);
    else out.null("body");
}

void put(Members& out, const Refusals& record) {
    const wire::ExchangeRefused& refused = record.refused;
    out.id("exchange", 'e', refused.exchange).id("connection", 'c', refused.connection);
    out.text_or_null("service", refused.service).text_or_null("operation", refused.operation);
    out.text_or_null("method", refused.method).text_or_null("host", refused.host);
    out.text_or_null("path", refused.path).text("reason", refused.reason).text_or_null("rule", refused.rule);
    out.number("status", refused.status);
    if (refused.sent_status != 0) out.number("sent_status", refused.sent_status);
    if (!refused.detail.empty()) out.text("detail", refused.detail);
    if (record.repeated > 1) out.number("repeated", record.repeated).id("last_exchange", 'e', record.last_exchange);
}

void put(Members& out, const wire::ExchangeOutcome& record) {
    out.id("exchange", 'e', record.exchange).number("status", record.status).text("outcome", record.outcome);
    out.number("sent", record.sent).number("received", record.received).digest("body", record.body);
    out.number("scrubbed", record.scrubbed).value("evidence", record.evidence);
}

void put(Members& out, const wire::LeaseChanged& record) {
    out.text("lease", record.lease).text("service", record.service).text("account", record.account);
    out.text("state", record.state).value("asked", record.asked);
    if (record.received) out.value("received", *record.received);
    else out.null("received");
    out.text("narrowed_by", record.narrowed_by).text("retire", record.retire).time("expires", record.expires_unix_ms);
    out.text_or_null("thumbprint", record.thumbprint);
    if (record.state == "held") return;
    out.number("uses", record.uses).time("first_used", record.first_used_unix_ms);
    out.time("last_used", record.last_used_unix_ms).text_or_null("detail", record.detail);
}

void put(Members& out, const ApprovalChanged& record) {
    out.text("approval", record.approval).id("exchange", 'e', record.exchange).digest("digest", record.digest);
    out.text("state", record.state).text_or_null("by", record.by).text_or_null("channel", record.channel);
    out.time("until", record.until_unix_ms);
}

void put(Members& out, const HeadSigned& record) {
    out.number("head_seq", record.head_seq).digest("head", record.head).text("signature", record.signature);
}

void put(Members& out, const MissionEnded& record) {
    out.text("reason", record.reason).number("code", record.code);
    out.open("leases").number("gone", record.gone).number("expired", record.expired);
    out.number("parked", record.parked).number("orphaned", record.orphaned).close();
    out.value("held_files", record.held_files).number("repaired", record.repaired);
    if (record.records_lost > 0) out.number("records_lost", record.records_lost);
    if (!record.held_sha256.empty()) out.value("held_sha256", record.held_sha256);
    if (!record.witness) return;
    out.open("witness").number("told", record.witness->told).number("of", record.witness->of).close();
}

void put(Members& out, const ChildStarted& record) {
    out.text("child", record.child).text("name", record.name).text("profile_sha256", record.profile_sha256);
    out.value("command", record.command);
}

void put(Members& out, const ChildRefused& record) { out.text("reason", record.reason).text("detail", record.detail); }

void put(Members& out, const ChildEnded& record) {
    out.text("child", record.child).text("reason", record.reason).number("code", record.code);
    out.text_or_null("receipt", record.receipt).text_or_null("detail", record.detail);
}

void bound_word(std::string& word) {
    if (word.size() <= kLedgerWordBytesMax) return;
    const std::string size = std::to_string(word.size());
    word.resize(kLedgerWordBytesMax);
    word += "…(" + size + " bytes)";
}

void bound_list(std::vector<std::string>& list) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
        bound_word(list[i]);
        bytes += list[i].size() + 3;
        if (bytes <= kLedgerListBytesMax) continue;
        const std::string more = "…(" + std::to_string(list.size() - i) + " more)";
        list.resize(i);
        list.push_back(more);
        return;
    }
}

void bound_process(std::optional<ClaimedProcess>& process) {
    if (!process) return;
    bound_word(process->exe);
    bound_list(process->chain);
}

// 9999-12-31T23:59:59.999Z; a provider's "never expires" may be later. 0 is "not known".
void bound_time(std::int64_t& unix_ms) {
    static constexpr std::int64_t kLatest = 253'402'300'799'999;
    unix_ms = std::clamp<std::int64_t>(unix_ms, 0, kLatest);
}

}  // namespace

std::string_view type_of(const LineRecord& record) {
    static constexpr std::array<std::string_view, 13> kTypes = {
        "mission.started", "connection.opened", "connection.refused", "exchange.intent", "exchange.refused",
        "exchange.outcome", "lease.changed", "approval.changed", "head.signed", "mission.ended",
        "child.started", "child.refused", "child.ended"};
    static_assert(kTypes.size() == std::variant_size_v<LineRecord>);
    return kTypes[record.index()];
}

void append_line(std::string& out, const LineHead& head, const LineRecord& record) {
    out += '{';
    Members members(out);
    members.number("v", 1).number("seq", head.seq).text("t", format_rfc3339(WallTime{head.unix_ms}));
    members.text("type", type_of(record)).text("mission", head.mission).digest("prev", head.prev);
    std::visit([&](const auto& known) { put(members, known); }, record);
    out += '}';
}

void bound_record(LineRecord& record) {
    if (auto* line = std::get_if<StartedLine>(&record)) {
        MissionStarted& started = line->started;
        for (std::string* word : {&started.agent, &started.name, &started.purpose}) bound_word(*word);
        for (auto* list : {&started.overrides, &started.command, &started.limits_missing}) bound_list(*list);
    } else if (auto* opened = std::get_if<ConnectionRecord>(&record)) {
        bound_process(opened->process);
    } else if (auto* refused = std::get_if<RefusedConnections>(&record)) {
        bound_process(refused->refused.process);
    } else if (auto* ended = std::get_if<MissionEnded>(&record)) {
        // What is cut here has no digest then, and is released by nobody but its owner.
        for (auto* list : {&ended->held_files, &ended->held_sha256}) bound_list(*list);
    } else if (auto* lease = std::get_if<wire::LeaseChanged>(&record)) {
        for (auto* time : {&lease->expires_unix_ms, &lease->first_used_unix_ms, &lease->last_used_unix_ms}) {
            bound_time(*time);
        }
    } else if (auto* child = std::get_if<ChildStarted>(&record)) {
        bound_word(child->name);
        bound_list(child->command);
    } else if (auto* turned_away = std::get_if<ChildRefused>(&record)) {
        bound_word(turned_away->detail);
    } else if (auto* child_end = std::get_if<ChildEnded>(&record)) {
        bound_word(child_end->detail);
    } else if (auto* approval = std::get_if<ApprovalChanged>(&record)) {
        bound_time(approval->until_unix_ms);
    }
}

std::string head_message(std::string_view mission, std::uint64_t head_seq, const wire::Digest& head) {
    return "sanctum-ledger-head-1\n" + std::string(mission) + "\n" + std::to_string(head_seq) + "\n" +
           wire::to_hex(head) + "\n";
}

std::string to_base64(std::string_view bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0 || text.size() > kReceiptBytesMax) return std::nullopt;
    std::string out(text.size() / 4 * 3 + 1, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : (text.ends_with('=') ? 1 : 0);
    out.resize(static_cast<std::size_t>(size) - padding);
    // EVP_DecodeBlock forgives white space and loose padding bits; only the one canonical form is accepted here.
    if (to_base64(out) != text) return std::nullopt;
    return out;
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
    static constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd.dddZ";
    if (text.size() != kShape.size()) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (kShape[i] == 'd' ? !is_digit : text[i] != kShape[i]) return std::nullopt;
    }
    const auto number = [&](std::size_t at, std::size_t size) {
        int value = 0;
        for (const char digit : text.substr(at, size)) value = value * 10 + (digit - '0');
        return value;
    };
    std::tm fields{};
    fields.tm_year = number(0, 4) - 1900;
    fields.tm_mon = number(5, 2) - 1;
    fields.tm_mday = number(8, 2);
    fields.tm_hour = number(11, 2);
    fields.tm_min = number(14, 2);
    fields.tm_sec = number(17, 2);
    const std::int64_t unix_ms = static_cast<std::int64_t>(::timegm(&fields)) * 1000 + number(20, 3);
    // timegm folds 13 months or 61 seconds into the next; such a text is not the time it seems to be.
    if (format_rfc3339(WallTime{unix_ms}) != text) return std::nullopt;
    return unix_ms;
}

}  // namespace sanctum::ledger
