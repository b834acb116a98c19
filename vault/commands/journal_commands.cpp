// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/journal_commands.hpp"

#include "base/limits.hpp"
#include "base/places.hpp"
#include "vault/commands/command_line.hpp"
#include "vault/http/provider_client.hpp"
#include "vault/reaper.hpp"
#include "vault/retirement.hpp"
#include "vault/sources/command.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sanctum::vault {
namespace {

// One line of JSON: the mission's id and, for a child mission, its parent's, then the members of lease.changed.
void print_json_below(const LeaseRow& row, const std::string& parent) {
    std::string line = "{\"mission\":";
    wire::append_json_string(line, row.mission);
    if (!parent.empty()) {
        line += ",\"parent\":";
        wire::append_json_string(line, parent);
    }
    line += "," + wire::to_json(to_record(row)).substr(1) + "\n";
    std::fputs(line.c_str(), stdout);
}

void print_json(const LeaseRow& row) { print_json_below(row, ""); }

void print_end_in_words(const LeaseRow& row) {
    std::printf("%s %s (%s, account %s): %s, %s\n", row.mission.c_str(), row.lease.c_str(), row.service.c_str(),
                row.account.c_str(), std::string(name_of(row.state)).c_str(), row.detail.c_str());
}

// One retirement, each request over a connection of its own; the provider is the only host that the dialler knows.
RetireOutcome send(Retirement retirement, const profiles::UpstreamConfig& upstream, const Clock& clock) {
    PollLoop loop;
    const network::RootCertificates roots = network::find_root_certificates();
    Result<std::unique_ptr<ProviderClient>> client =
        ProviderClient::start({provider_host(retirement.request.url)}, upstream, roots, loop, clock);
    if (!client) return {RetireOutcome::End::NotYet, client.error().what};
    std::optional<RetireOutcome> outcome;
    send_retirement(**client, std::move(retirement), [&](RetireOutcome told) { outcome = std::move(told); });
    while (!outcome) {
        if (Status waited = loop.wait(clock, (*client)->next_tick()); !waited) {
            return {RetireOutcome::End::NotYet, waited.error().what};
        }
        (*client)->tick();
    }
    return *outcome;
}

// The program is the one that the configuration names today; the journal has its say only about what it is given.
RetireOutcome run_program(const LeaseRow& row, const Retirement& retirement, const profiles::OperatorConfig& config,
                          const Clock& clock) {
    using End = RetireOutcome::End;
    const auto account = std::find_if(config.accounts.begin(), config.accounts.end(), [&](const auto& known) {
        return known.name == retirement.account && known.name == row.account && known.source == row.source;
    });
    if (account == config.accounts.end() || account->give_back.empty()) {
        return {End::NotYet, config.path + " has no program any more that gives back what account " + row.account +
                                 " had"};
    }
    PollLoop loop;
    Result<std::shared_ptr<CommandRunner>> runner = CommandRunner::start(
        {{account->give_back, environment_of_account(row.mission, row.account), "SANCTUM_HANDLE", {}}}, kCommandTimeout,
        loop);
    if (!runner) return {End::NotYet, runner.error().what};
    std::optional<RetireOutcome> outcome;
    Credential credential;
    credential.secret = retirement.request.body.duplicate();
    credential.handle = retirement.handle;
    give_back_by_command(**runner, 0, account->give_back.front(), credential,
                         [&](const RetireOutcome& told) { outcome = told; });
    while (!outcome) {
        if (Status waited = loop.wait(clock, std::nullopt); !waited) return {End::NotYet, waited.error().what};
    }
    return *outcome;
}

// Where the operator's configuration cannot be read, nothing is sent: it says at which address a host may be.
RetireOutcome give_back(const LeaseRow& row, const std::string& state, const Clock& clock) {
    const auto not_yet = [](const Error& error) { return RetireOutcome{RetireOutcome::End::NotYet, error.what}; };
    const Result<ReaperKey> key = ReaperKey::open(state);
    if (!key) return not_yet(key.error());
    Result<Retirement> retirement = key->unseal(row.retirement);
    if (!retirement) return not_yet(retirement.error());
    const Result<profiles::OperatorConfig> config =
        profiles::load_operator_config(places_of_this_process().configuration, profiles::Missing::IsEmpty);
    if (!config) return not_yet(config.error());
    if (!retirement->account.empty()) return run_program(row, *retirement, *config, clock);
    return send(std::move(*retirement), config->upstream, clock);
}

int list_unfinished(const std::string& state, const Clock& clock) {
    const Result<std::vector<std::string>> missions = unfinished_missions(state, clock);
    if (!missions) {
        std::fprintf(stderr, "sanctum-vault: %s\n", missions.error().what.c_str());
        return 1;
    }
    for (const std::string& mission : *missions) std::printf("%s\n", mission.c_str());
    return std::fflush(stdout) == 0 ? 0 : 1;
}

int forget(const std::string& state, const std::string& name) {
    const std::size_t slash = std::min(name.find('/'), name.size());
    const std::string lease = slash < name.size() ? name.substr(slash + 1) : std::string();
    const Result<LeaseRow> forgotten = forget_lease(state, name.substr(0, slash), lease);
    if (!forgotten) {
        std::fprintf(stderr, "sanctum reap: %s\n", forgotten.error().what.c_str());
        return forgotten.error().code == Errc::InvalidProfile ? 2 : 1;
    }
    print_end_in_words(*forgotten);
    return std::fflush(stdout) == 0 ? 0 : 1;
}

// Might this credential still be worth something to somebody?
bool may_live(const LeaseRow& row, WallTime now) {
    const bool is_over = row.state == LeaseState::Gone || row.state == LeaseState::Expired ||
                         row.state == LeaseState::Failed;
    const bool has_passed = row.alive_until_unix_ms != 0 && now.unix_ms >= row.alive_until_unix_ms;
    return !is_over && !has_passed;
}

// Where a mission stands in the list: below the one whose agent started it.
struct ListedMission {
    MissionRow row;
    std::size_t depth = 0;
};

void add_with_children(std::multimap<std::string, MissionRow>& children, MissionRow row, std::size_t depth,
                       std::vector<ListedMission>& listed) {
    const auto [first, last] = children.equal_range(row.mission);
    std::vector<MissionRow> below;
    for (auto child = first; child != last; ++child) below.push_back(std::move(child->second));
    children.erase(first, last);
    listed.push_back({std::move(row), depth});
    for (MissionRow& child : below) add_with_children(children, std::move(child), depth + 1, listed);
}

// A parent is older than its children; what is said to be below a younger one, or one that is forgotten, stands alone.
std::vector<ListedMission> below_their_parents(std::vector<MissionRow> missions) {
    std::set<std::string> older;
    std::vector<MissionRow> roots;
    std::multimap<std::string, MissionRow> children;
    for (MissionRow& row : missions) {
        const std::string parent = row.parent;
        const bool is_below = older.contains(parent);
        older.insert(row.mission);
        if (is_below) children.emplace(parent, std::move(row));
        else roots.push_back(std::move(row));
    }
    std::vector<ListedMission> listed;
    for (MissionRow& root : roots) add_with_children(children, std::move(root), 0, listed);
    return listed;
}

void print_words(const LeaseRow& row, const ListedMission& mission) {
    std::string scopes;
    for (const std::string& scope : row.asked) scopes += (scopes.empty() ? "" : " ") + scope;
    const std::string until =
        row.expires_unix_ms == 0 ? ", end not known" : " until " + format_rfc3339({row.expires_unix_ms});
    const std::string& parent = mission.row.parent;
    std::printf("%s%s %s%s%s  %s, account %s (%s), %s: %s%s, %llu uses%s%s\n",
                std::string(2 * mission.depth, ' ').c_str(), row.mission.c_str(), row.lease.c_str(),
                parent.empty() ? "" : ", child of ", parent.c_str(), row.service.c_str(), row.account.c_str(),
                row.source.c_str(), scopes.c_str(), std::string(name_of(row.state)).c_str(), until.c_str(),
                static_cast<unsigned long long>(row.uses), row.detail.empty() ? "" : "; ", row.detail.c_str());
}

Status list(const std::string& state, bool lists_all, bool as_json) {
    const auto nothing = [&] {
        if (!as_json) std::puts(lists_all ? "No lease is on record." : "No credential is out.");
        return Status();
    };
    if (::access(Journal::path_in(state).c_str(), F_OK) != 0) return nothing();  // no vault ever ran here
    const SystemClock clock;
    SANCTUM_TRY(Journal journal, Journal::open(state, kJournalBusyTimeout));
    SANCTUM_TRY(std::vector<MissionRow> missions, journal.missions());
    std::size_t shown = 0;
    for (const ListedMission& mission : below_their_parents(std::move(missions))) {
        SANCTUM_TRY(const std::vector<LeaseRow> leases, journal.leases_of(mission.row.mission));
        for (const LeaseRow& lease : leases) {
            if (!lists_all && !may_live(lease, clock.wall())) continue;
            ++shown;
            as_json ? print_json_below(lease, mission.row.parent) : print_words(lease, mission);
        }
    }
    return shown == 0 ? nothing() : Status();
}

}  // namespace

int run_reap_command(int argc, char** argv) {
    CLI::App app("Ends the leases of missions whose vault is gone.\nExample: sanctum-vault reap --json",
                 "sanctum-vault reap");
    bool as_json = false;
    std::string mission;
    std::string state = places_of_this_process().state;
    app.add_flag("--json", as_json, "One JSON line per lease: mission and the members of lease.changed");
    app.add_option("--mission", mission, "Only this mission")->type_name("ID");
    bool lists_unfinished = false;
    app.add_flag("--unfinished", lists_unfinished, "Change nothing: print missions whose credentials may be alive");
    std::string forgotten;
    app.add_option("--forget", forgotten, "Only this: a credential that may be alive is over, says the operator")
        ->type_name("MISSION/LEASE");
    app.add_option("--state", state, "State folder")->type_name("FOLDER");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return end_at_command_line(app, error);
    }
    const SystemClock clock;
    if (lists_unfinished) return list_unfinished(state, clock);
    std::set<std::string> returned;  // several leases may share one credential, which is given back once
    const auto give = [&](const LeaseRow& row) {
        const std::string credential = row.mission + row.account + row.thumbprint;
        if (returned.contains(credential)) {
            return RetireOutcome{RetireOutcome::End::Gone, "given back with another lease"};
        }
        const RetireOutcome outcome = give_back(row, state, clock);
        if (outcome.end == RetireOutcome::End::Gone) returned.insert(credential);
        if (outcome.end == RetireOutcome::End::NotYet) {
            std::fprintf(stderr, "sanctum reap: %s %s: %s\n", row.mission.c_str(), row.lease.c_str(),
                         outcome.detail.c_str());
        }
        return outcome;
    };
    if (!forgotten.empty()) return forget(state, forgotten);
    const Result<ReapReport> report = reap(state, mission, clock, give, as_json ? print_json : print_end_in_words);
    if (std::fflush(stdout) != 0) {
        std::fputs("sanctum reap: standard output cannot be written\n", stderr);
        return 1;
    }
    if (!report) {
        std::fprintf(stderr, "sanctum reap: %s\n", report.error().what.c_str());
        return report.error().code == Errc::InvalidProfile ? 2 : 1;
    }
    if (!as_json) {
        std::printf("%zu leases finished, %zu that may be alive, %zu missions running\n",
                    report->finished, report->waiting, report->alive);
    }
    return 0;
}

int run_leases_command(int argc, char** argv) {
    CLI::App app("Lists leases and the credentials that may be alive.\nExample: sanctum leases --all",
                 "sanctum leases");
    bool as_json = false;
    bool lists_all = false;
    std::string state = places_of_this_process().state;
    app.add_flag("--json", as_json, "One JSON line per lease: mission and the members of lease.changed");
    app.add_flag("--all", lists_all, "Those that have ended, too");
    app.add_option("--state", state, "State folder")->type_name("FOLDER");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return end_at_command_line(app, error);
    }
    const Status listed = list(state, lists_all, as_json);
    if (!listed) std::fprintf(stderr, "sanctum leases: %s\n", listed.error().what.c_str());
    if (std::fflush(stdout) != 0) {
        std::fputs("sanctum leases: standard output cannot be written\n", stderr);
        return 1;
    }
    return listed ? 0 : 1;
}

}  // namespace sanctum::vault
