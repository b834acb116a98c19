// SPDX-License-Identifier: Apache-2.0
// `sanctum explain`: the whole plan of a profile, the verdict on one request, or a decision that was made.
#include "console/commands.hpp"
#include "console/decision.hpp"
#include "console/load_mission.hpp"
#include "console/request_url.hpp"
#include "ledger/printable.hpp"

namespace sanctum::console {
namespace {

using profiles::Decision;
using profiles::Operation;
using profiles::Request;

constexpr const char* kNoObject = "0000000000000000000000000000000000000000";
constexpr const char* kSomeObject = "1111111111111111111111111111111111111111";

// The command list that a push of these refs would begin with.
std::vector<profiles::RefUpdate> updates_of(const ExplainOptions& options) {
    std::vector<profiles::RefUpdate> updates;
    for (const std::string& ref : options.refs) {
        const std::string name = ref.starts_with("refs/") ? ref : "refs/heads/" + ref;
        updates.push_back({options.deletes ? kSomeObject : kNoObject, options.deletes ? kNoObject : kSomeObject, name});
    }
    return updates;
}

void print_words(Console& console, const Request& request, const Operation& operation, const Decision& decision) {
    const bool is_denied = decision.verdict == profiles::Verdict::Deny;
    std::ostream& out = console.out;
    out << profiles::name_of(decision.verdict);
    if (is_denied) out << ": " << decision.reason;
    out << "\n  " << request.method << " " << ledger::printable(request.host + request.path) << "\n";
    if (!decision.text.empty()) out << "  " << ledger::printable(decision.text) << "\n";
    if (!decision.rule.empty()) {
        out << "  decided by " << ledger::printable(decision.rule);
        if (!decision.place.empty()) out << " at " << ledger::printable(decision.place);
        out << "\n";
    }
    if (!operation.name.empty()) {
        out << "  " << (operation.service >= 0 ? "service " : "host ") << ledger::printable(operation.name);
        if (operation.is_known) out << ", operation " << operation.id;
        if (!operation.says.empty()) out << " (" << ledger::printable(operation.says) << ")";
        out << "\n";
    }
    if (operation.is_known) out << "  risk " << profiles::name_of(decision.risk) << "\n";
    for (const std::string& scope : decision.scopes) out << "  scope " << scope << "\n";
    for (const auto& [name, values] : operation.resources) {
        for (const std::string& value : values) out << "  " << name << " " << ledger::printable(value) << "\n";
    }
    if (decision.reason == "approval_unavailable") out << "  a human would be asked; no approver channel exists\n";
}

void print_json(Console& console, const Request& request, const Operation& operation, const Decision& decision) {
    wire::JsonWriter json;
    json("schema", std::string("sanctum.explain/1"));
    json("verdict", decision.verdict);
    json("reason", decision.reason);
    json("rule", decision.rule);
    json("place", decision.place);
    json("text", decision.text);
    json("risk", decision.risk);
    json("method", request.method);
    json("host", request.host);
    json("path", request.path);
    json("service", operation.name);
    json("operation", operation.id);
    json("scopes", decision.scopes);
    json("needed", operation.needed);
    json("resources", operation.resources);
    console.out << json.take() << "\n";
}

Exit explain_request(Console& console, const ExplainOptions& options, const LoadedMission& loaded) {
    Result<Request> request = parse_request(options.method, options.url);
    if (!request) {
        console.err << "sanctum: this request would be refused before any rule is asked (request_invalid): "
                    << ledger::printable(request.error().what) << "\n";
        return Exit::Finding;
    }
    Operation operation = profiles::classify(loaded.mission, loaded.catalog, *request);
    if (operation.needs_push_commands) {
        if (options.refs.empty()) console.err << "note: judged without refs; add --ref BRANCH (and --delete)\n";
        request->ref_updates = updates_of(options);
        operation = profiles::classify(loaded.mission, loaded.catalog, *request);
    }
    if (operation.needs_lfs_operation) {
        console.err << "note: judged as a download; an upload is git.lfs:upload\n";
        request->lfs_operation = "download";
        operation = profiles::classify(loaded.mission, loaded.catalog, *request);
    }
    const profiles::Spent nothing_spent(loaded.mission.budgets.size(), 0);
    const Decision decision = profiles::decide(loaded.mission, *request, operation, nothing_spent);
    if (options.format == Format::Json) print_json(console, *request, operation, decision);
    else print_words(console, *request, operation, decision);
    return decision.verdict == profiles::Verdict::Allow ? Exit::Ok : Exit::Finding;
}

}  // namespace

Exit run_explain(Console& console, const ExplainOptions& options) {
    if (is_decision_id(options.subject)) return explain_decision(console, options.subject, options.format);
    const Result<LoadedMission> loaded = load_mission(console, options.subject);
    if (!loaded) return fail(console, loaded.error());
    if (!options.method.empty()) return explain_request(console, options, *loaded);
    if (options.format == Format::Json) console.out << profiles::policy_json(loaded->mission) << "\n";
    else console.out << profiles::explain_mission(loaded->mission);
    return Exit::Ok;
}

}  // namespace sanctum::console
