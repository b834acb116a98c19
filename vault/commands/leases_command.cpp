// SPDX-License-Identifier: Apache-2.0
#include "vault/commands/leases_command.hpp"

#include "base/limits.hpp"
#include "base/places.hpp"
#include "vault/reaper.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>
#include <unistd.h>

namespace sanctum::vault {
namespace {

// Might this credential still be worth something to somebody?
bool may_live(const LeaseRow& row, WallTime now) {
    const bool is_over = row.state == LeaseState::Gone || row.state == LeaseState::Expired ||
                         row.state == LeaseState::Failed;
    const bool has_passed = row.alive_until_unix_ms != 0 && now.unix_ms >= row.alive_until_unix_ms;
    return !is_over && !has_passed;
}

void print_json(const LeaseRow& row) {
    std::string line = "{\"mission\":";
    wire::append_json_string(line, row.mission);
    line += "," + wire::to_json(to_record(row)).substr(1) + "\n";
    std::fputs(line.c_str(), stdout);
}

void print_words(const LeaseRow& row) {
    std::string scopes;
    for (const std::string& scope : row.asked) scopes += (scopes.empty() ? "" : " ") + scope;
    const std::string until = row.expires_unix_ms == 0 ? "-" : format_rfc3339({row.expires_unix_ms});
    std::printf("%s %s  %s, account %s (%s), %s: %s until %s, %llu uses%s%s\n", row.mission.c_str(), row.lease.c_str(),
                row.service.c_str(), row.account.c_str(), row.source.c_str(), scopes.c_str(),
                std::string(name_of(row.state)).c_str(), until.c_str(), static_cast<unsigned long long>(row.uses),
                row.detail.empty() ? "" : "; ", row.detail.c_str());
}

Status list(const std::string& state, bool lists_all, bool as_json) {
    if (::access((state + "/state.db").c_str(), F_OK) != 0) return {};  // no vault ever ran here
    const SystemClock clock;
    SANCTUM_TRY(Journal journal, Journal::open(state, kJournalBusyTimeout));
    SANCTUM_TRY(const std::vector<std::string> missions, journal.missions());
    std::size_t shown = 0;
    for (const std::string& mission : missions) {
        SANCTUM_TRY(const std::vector<LeaseRow> leases, journal.leases_of(mission));
        for (const LeaseRow& lease : leases) {
            if (!lists_all && !may_live(lease, clock.wall())) continue;
            ++shown;
            as_json ? print_json(lease) : print_words(lease);
        }
    }
    if (shown == 0 && !as_json) std::puts(lists_all ? "No lease is on record." : "No credential is out.");
    return {};
}

}  // namespace

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
        return app.exit(error) == 0 ? 0 : 2;
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
