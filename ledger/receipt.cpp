// SPDX-License-Identifier: Apache-2.0
#include "ledger/receipt.hpp"

#include "base/clock.hpp"
#include "base/limits.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace sanctum::ledger {
namespace {

constexpr std::uint32_t kLandlockAbiOfEveryLayer = 6;  // 6.12: files, TCP, devices, abstract sockets and signals

using Scopes = std::vector<std::string>;

// An intent that waits for its end.
struct Sent {
    std::string service;
    Scopes scopes;  // the set that counts as used
    std::string lease;
    std::string at;
};

struct LeaseUse {
    std::uint64_t count = 0;
    std::string first, last;
};

bool is_over(const std::string& state) { return state == "gone" || state == "expired"; }

struct ServiceSums {
    Scopes granted;
    std::optional<std::set<std::string>> received;
    std::set<std::string> needed;
    std::map<std::string, ReceiptScopeUse> used;
};

// A taken-over interceptor may invent words; from kReceiptRowsMax on they share one row.
void count(std::map<std::string, std::uint64_t>& counts, const std::string& word, std::uint64_t by = 1) {
    const bool is_full = counts.size() >= kReceiptRowsMax && !counts.contains(word);
    counts[is_full ? "other" : word] += by;
}

Scopes used_set(const std::vector<Scopes>& any_of, const Scopes& granted) {
    for (const Scopes& set : any_of) {
        const auto is_granted = [&](const std::string& scope) {
            return std::find(granted.begin(), granted.end(), scope) != granted.end();
        };
        if (std::all_of(set.begin(), set.end(), is_granted)) return set;
    }
    return any_of.empty() ? Scopes{} : any_of.front();
}

std::string time_or_empty(std::int64_t unix_ms) { return unix_ms == 0 ? "" : format_rfc3339(WallTime{unix_ms}); }

// Records are valid UTF-8 before they come here; the cut leaves them so.
std::string short_detail(const std::string& detail) {
    if (detail.size() <= kReceiptDetailBytesMax) return detail;
    std::size_t end = kReceiptDetailBytesMax;
    while (end > 0 && (static_cast<unsigned char>(detail[end]) & 0xc0U) == 0x80U) --end;
    std::string cut = detail.substr(0, end);
    cut += "…";
    return cut;
}

ReceiptEnforced enforced_of(const MissionStarted& started) {
    ReceiptEnforced out;
    out.namespaces = out.filter = "fully";  // steps of the set-up without which nothing runs
    out.landlock_abi = started.landlock_abi;
    out.landlock = started.landlock_abi == 0                          ? "not"
                   : started.landlock_abi < kLandlockAbiOfEveryLayer ? "partly"
                                                                      : "fully";
    out.limits_by = started.limits;
    out.limits_missing = started.limits_missing;
    const bool has_limits = started.limits != "none";
    out.limits = !has_limits ? "not" : (started.limits_missing.empty() ? "fully" : "partly");
    out.watch = started.watch ? "fully" : "not";
    return out;
}

}  // namespace

struct ReceiptBuilder::State {
    Receipt receipt;
    std::map<std::string, ServiceSums> services;
    std::map<std::uint64_t, Sent> open;
    std::map<std::string, wire::LeaseChanged> open_leases;
    std::map<std::string, std::size_t> lease_rows;
    std::map<std::string, LeaseUse> lease_uses;  // by the records of exchanges
    std::map<std::string, std::size_t> approval_rows;
    std::map<std::string, std::size_t> child_rows;

    void take(const StartedLine& line, const std::string& at) {
        const MissionStarted& started = line.started;
        receipt.name = started.name;
        receipt.agent = started.agent;
        receipt.purpose = started.purpose;
        receipt.profile_sha256 = started.profile_sha256;
        receipt.overrides = started.overrides;
        receipt.command = started.command;
        receipt.key = line.key;
        receipt.started = at;
        receipt.enforced = enforced_of(started);
        if (!started.parent.empty()) receipt.parent = started.parent;
        for (const auto& [service, scopes] : started.granted) services[service].granted = scopes;
    }

    void take(const ConnectionRecord&, const std::string&) { ++receipt.counts.connections; }

    void take(const RefusedConnections& record, const std::string&) {
        count(receipt.counts.connections_refused, record.refused.reason, record.repeated);
    }

    void take(const wire::ExchangeIntent& intent, const std::string& at) {
        count(receipt.counts.verdicts, intent.verdict);
        const auto service = services.find(intent.service);
        if (service == services.end()) count(receipt.hosts, intent.service);
        Sent sent{intent.service, {}, intent.lease, at};
        if (service != services.end()) {
            for (const Scopes& set : intent.needed) {
                for (const std::string& scope : set) {
                    if (service->second.needed.size() < kReceiptRowsMax) service->second.needed.insert(scope);
                }
            }
            sent.scopes = used_set(intent.needed, service->second.granted);
        }
        open[intent.exchange] = std::move(sent);
        if (open.size() > kLedgerOpenExchangesMax) end_exchange(open.begin()->first, "unknown");
    }

    void take(const Refusals& record, const std::string&) {
        count(receipt.counts.refused, record.refused.reason, record.repeated);
        if (record.refused.status == 403) count(receipt.counts.verdicts, "deny", record.repeated);
        open.erase(record.refused.exchange);  // nothing was sent for it
    }

    void take(const wire::ExchangeOutcome& outcome, const std::string&) {
        receipt.counts.sent += outcome.sent;
        receipt.counts.received += outcome.received;
        receipt.counts.scrubbed += outcome.scrubbed;
        end_exchange(outcome.exchange, outcome.outcome);
    }

    void take(const wire::LeaseChanged& lease, const std::string& at) {
        const bool is_held = lease.state == "held";
        if (is_held) open_leases[lease.lease] = lease;
        else open_leases.erase(lease.lease);
        if (lease.received) {
            auto& received = services[lease.service].received;
            if (!received) received.emplace();
            for (const std::string& scope : *lease.received) {
                if (received->size() < kReceiptRowsMax) received->insert(scope);
            }
        }
        ReceiptLease* row = row_of(receipt.leases, lease_rows, lease.lease);
        if (row == nullptr) return;
        row->lease = lease.lease;
        row->service = lease.service;
        row->account = lease.account;
        row->state = lease.state;
        row->asked = lease.asked;
        row->received = lease.received;
        row->narrowed_by = lease.narrowed_by;
        row->retire = lease.retire;
        row->thumbprint = lease.thumbprint;
        row->expires = time_or_empty(lease.expires_unix_ms);
        if (row->held.empty()) row->held = at;
        row->ended = is_held ? "" : at;
        row->uses = is_held ? 0 : lease.uses;
        row->first_used = is_held ? "" : time_or_empty(lease.first_used_unix_ms);
        row->last_used = is_held ? "" : time_or_empty(lease.last_used_unix_ms);
        row->confirmed = is_over(lease.state) && lease.retire != "none";
        row->detail = is_held ? "" : short_detail(lease.detail);
    }

    void take(const ApprovalChanged& approval, const std::string&) {
        ReceiptApproval* row = row_of(receipt.approvals, approval_rows, approval.approval);
        if (row == nullptr) return;
        *row = {approval.approval, "e" + std::to_string(approval.exchange), wire::to_hex(approval.digest),
                approval.state,    approval.by,                             approval.channel};
    }

    void take(const HeadSigned&, const std::string&) {}

    void take(const ChildStarted& child, const std::string& at) {
        if (!receipt.children) receipt.children.emplace();
        ReceiptChild* row = row_of(*receipt.children, child_rows, child.child);
        if (row == nullptr) return;
        row->mission = child.child;
        row->name = child.name;
        row->profile_sha256 = child.profile_sha256;
        row->started = at;
    }

    void take(const ChildRefused& refused, const std::string&) {
        if (!receipt.children_refused) receipt.children_refused.emplace();
        count(*receipt.children_refused, refused.reason);
    }

    void take(const ChildEnded& ended, const std::string& at) {
        const auto found = child_rows.find(ended.child);
        if (found == child_rows.end()) return;
        ReceiptChild& row = (*receipt.children)[found->second];
        row.ended = at;
        row.reason = ended.reason;
        row.code = ended.code;
        row.receipt = ended.receipt;
    }

    void take(const MissionEnded& ended, const std::string& at) {
        receipt.ended = at;
        receipt.end = {ended.reason, ended.code};
        receipt.lease_ends = {{"gone", ended.gone},
                              {"expired", ended.expired},
                              {"parked", ended.parked},
                              {"orphaned", ended.orphaned}};
        receipt.held_files = ended.held_files;
        if (!ended.held_sha256.empty()) receipt.held_sha256 = ended.held_sha256;
        receipt.repaired = ended.repaired;
        receipt.records_lost = ended.records_lost;
        receipt.witness = ended.witness;
    }

    void end_exchange(std::uint64_t exchange, const std::string& outcome) {
        count(receipt.counts.outcomes, outcome);
        const auto found = open.find(exchange);
        if (found == open.end()) return;
        count_use(services, found->second);
        count_lease(lease_uses, found->second);
        open.erase(found);
    }

    // Intents come from another process than leases, and may be before them.
    static void count_lease(std::map<std::string, LeaseUse>& uses, const Sent& sent) {
        if (sent.lease.empty() || (uses.size() >= kReceiptRowsMax && !uses.contains(sent.lease))) return;
        LeaseUse& use = uses[sent.lease];
        ++use.count;
        if (use.first.empty() || sent.at < use.first) use.first = sent.at;
        if (sent.at > use.last) use.last = sent.at;
    }

    static void take_more_uses(ReceiptLease& row, const LeaseUse& seen) {
        if (seen.count <= row.uses) return;
        row.told_uses = row.uses;
        row.uses = seen.count;
        if (row.first_used->empty() || seen.first < *row.first_used) row.first_used = seen.first;
        if (seen.last > *row.last_used) row.last_used = seen.last;
    }

    static void count_use(std::map<std::string, ServiceSums>& services, const Sent& sent) {
        const auto service = services.find(sent.service);
        if (service == services.end()) return;
        for (const std::string& scope : sent.scopes) {
            auto& used = service->second.used;
            if (used.size() >= kReceiptRowsMax && !used.contains(scope)) continue;
            ReceiptScopeUse& use = used[scope];
            use.scope = scope;
            ++use.exchanges;
            if (use.first.empty() || sent.at < use.first) use.first = sent.at;
            if (sent.at > use.last) use.last = sent.at;
        }
    }

    template <class Row>
    Row* row_of(std::vector<Row>& rows, std::map<std::string, std::size_t>& index, const std::string& id) {
        const auto found = index.find(id);
        if (found != index.end()) return &rows[found->second];
        if (rows.size() >= kReceiptRowsMax) {
            ++receipt.more_rows;
            return nullptr;
        }
        index[id] = rows.size();
        return &rows.emplace_back();
    }
};

ReceiptBuilder::ReceiptBuilder() : state_(std::make_unique<State>()) {}
ReceiptBuilder::ReceiptBuilder(ReceiptBuilder&&) noexcept = default;
ReceiptBuilder& ReceiptBuilder::operator=(ReceiptBuilder&&) noexcept = default;
ReceiptBuilder::~ReceiptBuilder() = default;

void ReceiptBuilder::add(std::string_view mission, std::int64_t unix_ms, const LineRecord& record) {
    const std::string at = format_rfc3339(WallTime{unix_ms});
    if (state_->receipt.mission.empty()) state_->receipt.mission = mission;
    std::visit([&](const auto& known) { state_->take(known, at); }, record);
}

Receipt ReceiptBuilder::build() const {
    Receipt out = state_->receipt;
    std::map<std::string, ServiceSums> services = state_->services;
    std::map<std::string, LeaseUse> lease_uses = state_->lease_uses;
    for (const auto& [exchange, sent] : state_->open) {
        count(out.counts.outcomes, "unknown");
        State::count_use(services, sent);
        State::count_lease(lease_uses, sent);
    }
    for (ReceiptLease& row : out.leases) {
        const auto seen = lease_uses.find(row.lease);
        if (seen != lease_uses.end()) State::take_more_uses(row, seen->second);
    }
    for (auto& [name, sums] : services) {
        ReceiptService row;
        row.name = name;
        row.granted = sums.granted;
        if (sums.received) row.received = Scopes(sums.received->begin(), sums.received->end());
        row.needed.assign(sums.needed.begin(), sums.needed.end());
        for (auto& [scope, use] : sums.used) row.used.push_back(use);
        out.services.push_back(std::move(row));
    }
    return out;
}

Receipt in_schema(Receipt receipt, std::string_view schema) {
    receipt.schema = schema;
    if (schema == kReceiptSchema) return receipt;
    for (ReceiptLease& lease : receipt.leases) {
        lease.uses = std::exchange(lease.told_uses, std::nullopt).value_or(lease.uses);
        lease.first_used.reset();
        lease.last_used.reset();
        lease.confirmed.reset();
        lease.detail.reset();
    }
    return receipt;
}

std::vector<wire::LeaseChanged> ReceiptBuilder::open_leases() const {
    std::vector<wire::LeaseChanged> out;
    for (const auto& [id, lease] : state_->open_leases) out.push_back(lease);
    return out;
}

std::vector<std::uint64_t> ReceiptBuilder::open_exchanges() const {
    std::vector<std::uint64_t> out;
    for (const auto& [exchange, sent] : state_->open) out.push_back(exchange);
    return out;
}

}  // namespace sanctum::ledger
