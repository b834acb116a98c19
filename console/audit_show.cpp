// SPDX-License-Identifier: Apache-2.0
// `sanctum audit show MISSION`: every record in one line of words, then the receipt; `--json` gives the lines as they
// stand in the ledger.
#include "console/absent_mission.hpp"
#include "console/commands.hpp"
#include "console/missions.hpp"
#include "ledger/printable.hpp"
#include "ledger/verify.hpp"

namespace sanctum::console {
namespace {

using ledger::printable;

std::string exchange_name(std::uint64_t number) { return number == 0 ? "-" : "e" + std::to_string(number); }

std::string asker(const std::optional<ledger::ClaimedProcess>& process) {
    if (!process) return "";
    std::string out = " by " + process->exe;
    for (const std::string& name : process->chain) out += " < " + name;
    return out;
}

// One sentence per type of record; made printable by the caller.
struct Words {
    std::string operator()(const ledger::StartedLine& line) const {
        std::string out = "mission " + line.started.name + " started:";
        for (const std::string& word : line.started.command) out += " " + word;
        return out;
    }
    std::string operator()(const ledger::ConnectionRecord& record) const {
        return "c" + std::to_string(record.connection) + " opened to " +
               (record.name.empty() ? record.dialled : record.name + " (" + record.dialled + ")") +
               asker(record.process);
    }
    std::string operator()(const ledger::RefusedConnections& record) const {
        const std::uint64_t opened = record.refused.connection;
        return (opened == 0 ? "connection" : "c" + std::to_string(opened)) + " refused" + times(record.repeated) +
               " to " + or_several(record.refused.dialled) + ": " + record.refused.reason +
               asker(record.refused.process);
    }
    std::string operator()(const wire::ExchangeIntent& record) const {
        return exchange_name(record.exchange) + " " + record.verdict + ": " + record.method + " " + record.host +
               record.path + " (" + record.operation + ", risk " + record.risk +
               (record.lease.empty() ? "" : ", credential " + record.lease) + ")";
    }
    std::string operator()(const ledger::Refusals& record) const {
        const wire::ExchangeRefused& refused = record.refused;
        const std::string last = record.repeated > 1 ? ".." + exchange_name(record.last_exchange) : "";
        return exchange_name(refused.exchange) + last + " refused" + times(record.repeated) + ": " + refused.reason +
               (refused.rule.empty() ? "" : " by " + refused.rule) + ": " + or_several(refused.method) + " " +
               or_several(refused.host) + refused.path + (refused.detail.empty() ? "" : " (" + refused.detail + ")");
    }
    std::string operator()(const wire::ExchangeOutcome& record) const {
        return exchange_name(record.exchange) + " " + record.outcome + ": status " + std::to_string(record.status) +
               ", " + std::to_string(record.sent) + " bytes sent, " + std::to_string(record.received) + " received" +
               (record.scrubbed == 0 ? "" : ", " + std::to_string(record.scrubbed) + " secrets taken out");
    }
    std::string operator()(const wire::LeaseChanged& record) const {
        return "lease " + record.lease + " of account " + record.account + " for " + record.service + ": " +
               record.state + (record.detail.empty() ? "" : " (" + record.detail + ")");
    }
    std::string operator()(const ledger::ApprovalChanged& record) const {
        return "approval " + record.approval + " for " + exchange_name(record.exchange) + ": " + record.state + " by " +
               record.by;
    }
    std::string operator()(const ledger::HeadSigned& record) const {
        return "head of record " + std::to_string(record.head_seq) + " signed";
    }
    std::string operator()(const ledger::ChildStarted& record) const {
        std::string out = "child mission " + record.child + " " + record.name + " started:";
        for (const std::string& word : record.command) out += " " + word;
        return out;
    }
    std::string operator()(const ledger::ChildRefused& record) const {
        return "child mission refused: " + record.reason + " (" + record.detail + ")";
    }
    std::string operator()(const ledger::ChildEnded& record) const {
        return "child mission " + record.child + " ended: " + record.reason + ", code " + std::to_string(record.code) +
               (record.detail.empty() ? "" : " (" + record.detail + ")");
    }
    std::string operator()(const ledger::MissionEnded& record) const {
        return "mission ended: " + record.reason + ", code " + std::to_string(record.code);
    }

private:
    static std::string times(std::uint64_t number) {
        return number > 1 ? " " + std::to_string(number) + " times" : "";
    }
    static std::string or_several(const std::string& word) { return word.empty() ? "(several)" : word; }
};

Status print_records(Console& console, const std::string& folder, Format format) {
    return ledger::for_each_record(folder, [&](const ledger::ReadRecord& read, const std::string& text) {
        if (format == Format::Json) {
            console.out << text << "\n";
        } else {
            console.out << read.seq << " " << format_rfc3339(WallTime{read.unix_ms}) << " "
                        << printable(std::visit(Words{}, read.record)) << "\n";
        }
        return true;
    });
}

}  // namespace

Exit run_audit_show(Console& console, const MissionOptions& options) {
    const Result<std::string> id = find_mission(console.places, options.mission);
    if (!id) return fail(console, error_of_absent(console.places, options.mission, id.error()));
    const std::string folder = console.places.mission(*id);
    const Result<ledger::VerifyingKey> key = ledger::VerifyingKey::load(console.places.ledger_public_key());
    if (!key) return fail(console, key.error());
    const Result<ledger::Verification> verified = ledger::verify_mission(folder, *id, *key);
    if (!verified) return fail(console, verified.error());
    const std::string state(ledger::name_of(verified->state));
    if (options.format == Format::Json) {
        console.out << R"({"schema":"sanctum.audit.show/1","mission":")" << *id << R"(","state":")" << state
                    << R"(","records":)" << verified->records << "}\n";
    }
    // A record that does not parse ends the listing; what verify found is the reason.
    const Status printed = print_records(console, folder, options.format);
    if (options.format == Format::Words) {
        console.out << "\n" << ledger::render_receipt(verified->receipt) << "State        " << state << "\n";
    }
    if (verified->state == ledger::LedgerState::Broken) {
        return fail(console, "this ledger is broken: " + printable(verified->why), Exit::Finding);
    }
    return printed ? Exit::Ok : fail(console, printed.error());
}

}  // namespace sanctum::console
