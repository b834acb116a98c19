// SPDX-License-Identifier: Apache-2.0
// The receipt in words. Every word that somebody else chose goes through printable().
#include "base/clock.hpp"
#include "ledger/printable.hpp"
#include "ledger/receipt.hpp"

#include <algorithm>

namespace sanctum::ledger {
namespace {

constexpr std::size_t kLabelWidth = 13;
constexpr std::size_t kShortHash = 16;

class Text {
public:
    void line(std::string_view label, const std::string& words) {
        std::string left(label);
        left.resize(std::max(kLabelWidth, left.size() + 1), ' ');
        out_ += left + words + "\n";
    }
    void plain(const std::string& words) { out_ += words + "\n"; }
    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    std::string out_;
};

std::string joined(const std::vector<std::string>& words, std::string_view between, std::string_view none) {
    std::string out;
    for (const std::string& word : words) {
        if (!out.empty()) out += between;
        out += printable(word);
    }
    return out.empty() ? std::string(none) : out;
}

std::string amount(std::uint64_t number, std::string_view thing) {
    return std::to_string(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

std::uint64_t sum(const std::map<std::string, std::uint64_t>& counts) {
    std::uint64_t out = 0;
    for (const auto& [word, number] : counts) out += number;
    return out;
}

std::string listed(const std::map<std::string, std::uint64_t>& counts) {
    std::string out;
    for (const auto& [word, number] : counts) {
        if (!out.empty()) out += ", ";
        out += printable(word) + " " + std::to_string(number);
    }
    return out;
}

std::string end_in_words(const Receipt& receipt) {
    if (receipt.ended.empty()) return "not ended";
    const std::string& reason = receipt.end.reason;
    if (reason == "exit") return "the command ended with code " + std::to_string(receipt.end.code);
    if (reason == "signal") return "the command was ended by signal " + std::to_string(receipt.end.code);
    if (reason == "ttl") return "its time ran out";
    if (reason == "revoked") return "it was revoked";
    if (reason == "lost") return "its supervisor was lost; completed afterwards";
    if (reason == "setup" && receipt.end.code == 127) return "the command was not found (127)";
    if (reason == "setup" && receipt.end.code == 126) return "the command could not be executed (126)";
    if (reason == "setup") return "the set-up failed";
    return printable(reason);
}

// `2026-11-22T02:06:12.001Z` → `02:06:12`.
std::string clock_of(const std::string& rfc3339) { return rfc3339.size() > 19 ? rfc3339.substr(11, 8) : rfc3339; }

void put_head(Text& out, const Receipt& receipt) {
    out.plain("Mission " + receipt.mission + " " + printable(receipt.name));
    if (!receipt.agent.empty()) out.line("Agent", printable(receipt.agent));
    if (!receipt.purpose.empty()) out.line("Purpose", printable(receipt.purpose));
    out.line("Command", joined(receipt.command, " ", "-"));
    if (!receipt.overrides.empty()) out.line("Overrides", joined(receipt.overrides, " ", "-"));
    out.line("Time", receipt.started + (receipt.ended.empty() ? "" : " to " + receipt.ended));
    out.line("End", end_in_words(receipt));
    if (receipt.parent) out.line("Child of", printable(*receipt.parent));
}

void put_child(Text& out, const ReceiptChild& child) {
    std::string words = printable(child.mission) + " " + printable(child.name) + ", ";
    words += child.ended.empty() ? std::string("END NOT KNOWN")
                                 : printable(child.reason) + " with code " + std::to_string(child.code) + " at " +
                                       clock_of(child.ended);
    words += child.receipt.empty() ? std::string(", no receipt")
                                   : ", receipt SHA-256 " + printable(child.receipt).substr(0, kShortHash);
    out.line("Child", words);
}

void put_counts(Text& out, const ReceiptCounts& counts) {
    std::uint64_t allowed = 0;
    for (const auto& [verdict, number] : counts.verdicts) allowed += verdict == "deny" ? 0 : number;
    std::string words = amount(allowed, "request");
    if (!counts.outcomes.empty()) words += " (" + listed(counts.outcomes) + ")";
    words += ", " + amount(counts.sent, "byte") + " sent, " + std::to_string(counts.received) + " received";
    out.line("Allowed", words);
    const std::uint64_t refused = sum(counts.refused);
    out.line("Refused", refused == 0 ? "nothing" : amount(refused, "request") + " (" + listed(counts.refused) + ")");
    const std::uint64_t unopened = sum(counts.connections_refused);
    std::string connections = amount(counts.connections, "connection") + " opened";
    if (unopened > 0) {
        connections += ", " + amount(unopened, "attempt") + " refused (" +
                       listed(counts.connections_refused) + ")";
    }
    out.line("Network", connections);
    if (counts.scrubbed > 0) out.line("Scrubbed", amount(counts.scrubbed, "secret") + " taken out of responses");
}

void put_service(Text& out, const ReceiptService& service) {
    out.line("Service", printable(service.name));
    out.line("  granted", joined(service.granted, ", ", "nothing"));
    if (service.received) out.line("  received", joined(*service.received, ", ", "nothing"));
    std::vector<std::string> unused = service.granted;
    for (const ReceiptScopeUse& use : service.used) {
        out.line("  used", printable(use.scope) + ": " + amount(use.exchanges, "request") + ", " +
                               clock_of(use.first) + " to " + clock_of(use.last));
        unused.erase(std::remove(unused.begin(), unused.end(), use.scope), unused.end());
    }
    if (!unused.empty()) out.line("  never used", joined(unused, ", ", ""));
}

std::string lease_end_in_words(const ReceiptLease& lease) {
    std::string words = lease.state == "held" ? "END NOT KNOWN" : printable(lease.state);
    if (!lease.ended.empty()) words += " at " + clock_of(lease.ended);
    if (lease.confirmed && *lease.confirmed && lease.retire != "none") words += ", confirmed";
    // What the operator stored: its detail says that it stays valid.
    const bool is_dropped = lease.retire == "none" && (lease.state == "gone" || lease.state == "expired");
    if (lease.confirmed && !*lease.confirmed && !is_dropped) {
        words += ", may be alive" + (lease.expires.empty() ? ", end not known" : " until " + lease.expires);
    }
    if (lease.detail && !lease.detail->empty()) words += ": " + printable(*lease.detail);
    return words;
}

void put_lease(Text& out, const ReceiptLease& lease) {
    std::string words = printable(lease.lease) + " of account " + printable(lease.account) + " for " +
                        printable(lease.service) + ", narrowed by " + printable(lease.narrowed_by) + ", " +
                        amount(lease.uses, "use");
    const bool has_times = lease.first_used && lease.last_used && !lease.first_used->empty();
    if (has_times) words += ", " + clock_of(*lease.first_used) + " to " + clock_of(*lease.last_used);
    if (!lease.thumbprint.empty()) words += ", SHA-256 " + printable(lease.thumbprint).substr(0, kShortHash);
    out.line("Credential", words);
    out.line("  end", lease_end_in_words(lease));
}

void put_enforced(Text& out, const ReceiptEnforced& enforced) {
    std::string words = "namespaces " + enforced.namespaces + ", filter " + enforced.filter + ", Landlock " +
                        enforced.landlock + " (ABI " + std::to_string(enforced.landlock_abi) + "), limits " +
                        enforced.limits + " (" + printable(enforced.limits_by) + "), watch " + enforced.watch;
    if (!enforced.limits_missing.empty()) words += "; missing: " + joined(enforced.limits_missing, ", ", "");
    out.line("Enforced", words);
}

}  // namespace

std::string render_receipt(const Receipt& receipt) {
    Text out;
    put_head(out, receipt);
    put_counts(out, receipt.counts);
    for (const ReceiptService& service : receipt.services) put_service(out, service);
    if (!receipt.hosts.empty()) out.line("Hosts", listed(receipt.hosts));
    for (const ReceiptLease& lease : receipt.leases) put_lease(out, lease);
    for (const ReceiptApproval& approval : receipt.approvals) {
        out.line("Approval", printable(approval.approval) + " for " + approval.exchange + ": " +
                                 printable(approval.state) + " by " + printable(approval.by) + " over " +
                                 printable(approval.channel));
    }
    if (receipt.more_rows > 0) out.line("", "and " + std::to_string(receipt.more_rows) + " more");
    if (receipt.children) {
        for (const ReceiptChild& child : *receipt.children) put_child(out, child);
    }
    if (receipt.children_refused) out.line("Not started", "children: " + listed(*receipt.children_refused));
    put_enforced(out, receipt.enforced);
    for (const std::string& file : receipt.held_files) out.line("Held back", printable(file));
    if (receipt.repaired > 0) out.line("Repaired", amount(receipt.repaired, "unfinished line") + " cut");
    if (receipt.records_lost > 0) out.line("Lost", amount(receipt.records_lost, "record") + " (the disk was full)");
    if (receipt.witness) {
        out.line("Witness", "told " + std::to_string(receipt.witness->told) + " of " +
                                amount(receipt.witness->of, "signed head"));
    }
    const std::string head = wire::to_hex(receipt.head.hash).substr(0, kShortHash);
    out.line("Ledger", amount(receipt.head.seq + 1, "record") + ", head " + head + ", key " + receipt.key);
    return out.take();
}

}  // namespace sanctum::ledger
