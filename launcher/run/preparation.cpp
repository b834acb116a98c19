// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/preparation.hpp"

#include "base/mission_id.hpp"
#include "launcher/plan/login_files.hpp"
#include "launcher/plan/plan_mounts.hpp"
#include "launcher/run/preparation_parts.hpp"
#include "launcher/run/secret_variables.hpp"
#include "launcher/run/trust_question.hpp"
#include "profiles/schema/consent_record.hpp"
#include "profiles/schema/owned_file.hpp"
#include "profiles/schema/resolve.hpp"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>
#include <pwd.h>
#include <unistd.h>

extern char** environ;

namespace sanctum::launcher {

std::string value_or_empty(const std::map<std::string, std::string>& environment, const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
}

Result<std::string> real_path(const std::string& path, std::string_view what) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    if (!real) return io_error(std::string(what) + " " + path);
    return std::string(real.get());
}

std::string home_of(const std::map<std::string, std::string>& environment) {
    if (std::string home = value_or_empty(environment, "HOME"); home.starts_with('/')) return home;
    const passwd* entry = ::getpwuid(::geteuid());
    return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "/";
}

namespace {

// The operator's configuration: a file that was named must exist, the usual one may be absent.
Result<profiles::OperatorConfig> load_config(const Options& options, Places& places,
                                             const std::map<std::string, std::string>& environment) {
    auto missing = profiles::Missing::IsEmpty;
    if (!options.config.empty()) {
        Result<std::string> named = real_path(options.config, "--config");
        if (!named) {
            return Error{named.error().code, named.error().what + " (name a file that exists; without it, " +
                                                 places.configuration + " is read)"};
        }
        places.configuration = std::move(*named);
        missing = profiles::Missing::IsAnError;
    } else if (!value_or_empty(environment, "SANCTUM_CONFIG").empty()) {
        missing = profiles::Missing::IsAnError;
    }
    return profiles::load_operator_config(places.configuration, missing);
}

profiles::Overrides overrides_of(const Options& options) {
    return {options.settings, options.environment, options.mounts, options.ttl, options.name};
}

// SECURITY: it runs outside, with the operator's rights; the agent must not be able to write it.
Status check_out_of_reach(const std::string& program, const PreparedMission& prepared) {
    const profiles::Sandbox& sandbox = prepared.mission.sandbox;
    std::vector<std::string> writable;
    if (sandbox.workspace_writable) writable.push_back(sandbox.workspace);
    if (sandbox.home == profiles::Home::Kept) writable.push_back(sandbox.home_store);
    for (const profiles::Mount& mount : sandbox.mounts) {
        if (mount.writable) writable.push_back(mount.source);
    }
    for (const std::string& folder : writable) {
        const auto found = prepared.facts.grants.find(folder);
        const bool is_known = found != prepared.facts.grants.end() && !found->second.real_path.empty();
        if (!is_same_or_below(program, is_known ? found->second.real_path : folder)) continue;
        return Error{Errc::NotPermitted, program + ": lies in " + folder + ", where the agent may write (move it)"};
    }
    return {};
}

Result<std::string> usable_program(const std::string& path, const PreparedMission& prepared) {
    SANCTUM_TRY(std::string real, profiles::find_owned_program(path));
    SANCTUM_CHECK(check_out_of_reach(real, prepared));
    return real;
}

// A file under its own name and under the one that its links lead to.
void add_file(std::vector<std::string>& files, const std::string& path) {
    if (!path.starts_with('/')) return;
    files.push_back(path);
    if (Result<std::string> real = real_path(path, ""); real && *real != path) files.push_back(std::move(*real));
}

// The workspace and every other folder of the machine that the agent may write; one inside another only once. A kept
// home is the agent's own: nobody outside works in it.
std::vector<GrantFacts> folders_to_care_for(const profiles::Mission& mission, const HostFacts& facts) {
    std::vector<GrantFacts> granted{facts.grants.at(mission.sandbox.workspace)};
    for (const profiles::Mount& mount : mission.sandbox.mounts) {
        const GrantFacts& grant = facts.grants.at(mount.source);
        if (mount.writable && grant.is_folder) granted.push_back(grant);
    }
    std::stable_sort(granted.begin(), granted.end(), [](const GrantFacts& left, const GrantFacts& right) {
        return left.real_path.size() < right.real_path.size();
    });
    std::vector<GrantFacts> folders;
    for (GrantFacts& grant : granted) {
        const bool is_inside = std::any_of(folders.begin(), folders.end(), [&](const GrantFacts& outer) {
            return is_same_or_below(grant.real_path, outer.real_path);
        });
        if (!is_inside) folders.push_back(std::move(grant));
    }
    return folders;
}

Result<SandboxPlan> plan_of(const Options& options, const PreparedMission& prepared, const std::string& folder) {
    std::string working_directory = folder;
    if (!options.working_directory.empty()) {
        Result<std::string> named = real_path(options.working_directory, "--workdir");
        if (!named) {
            return Error{named.error().code,
                         named.error().what + " (name a folder that exists, in the workspace or a mount)"};
        }
        working_directory = std::move(*named);
    }
    // First without them: a workspace that may not be one (`/`, a home) is refused before it is searched.
    SANCTUM_TRY(const SandboxPlan possible, plan_sandbox(prepared.mission, prepared.facts, options.command,
                                                         options.new_session, working_directory, {}));
    std::vector<std::string> later;
    for (const GrantFacts& grant : folders_to_care_for(prepared.mission, prepared.facts)) {
        SANCTUM_TRY(const auto found, runs_later::find_existing(grant.real_path));
        later.insert(later.end(), found.begin(), found.end());
    }
    return plan_sandbox(prepared.mission, prepared.facts, options.command, options.new_session, working_directory,
                        later);
}

}  // namespace

// The program itself, not a link to it: what was looked at is what runs.
Result<std::string> find_witness(const PreparedMission& prepared) {
    if (prepared.config.witness.empty()) return std::string();
    Result<std::string> program = usable_program(prepared.config.witness, prepared);
    if (program) return program;
    const bool is_missing = program.error().code == Errc::NotFound;
    return std::move(program).error().in(prepared.config.path + ": [ledger] witness" +
                                         (is_missing ? " (install the program, or remove the key)" : ""));
}

// The program of an account's source runs outside whenever the mission needs its credential; what it is given as
// absolute path (a script) counts like the program. A file that is a credential is in no grant at all.
void gather_operators_files(PreparedMission& prepared) {
    constexpr std::string_view key_file = "key-file:";
    HostFacts& facts = prepared.facts;
    const profiles::OperatorConfig& config = prepared.config;
    if (config.unlock.starts_with(key_file)) add_file(facts.key_files, config.unlock.substr(key_file.size()));
    add_file(facts.operator_files, config.path);
    add_file(facts.operator_files, config.ca_file);
    for (const std::string& file : config.pinned_files) add_file(facts.operator_files, file);
    for (const profiles::Service& service : prepared.mission.services) {
        for (const profiles::Account& account : config.accounts) {
            if (account.name != service.account) continue;
            for (const std::string& word : account.command) add_file(facts.operator_files, word);
            for (const std::string& word : account.give_back) add_file(facts.operator_files, word);
            add_file(facts.secret_files, account.file);
            if (account.source == "systemd") {
                const std::string folder = value_or_empty(prepared.environment, "CREDENTIALS_DIRECTORY");
                add_file(facts.secret_files, folder + "/" + account.credential);
            }
        }
    }
}

namespace {

// What `sanctum connect` noted of an account's login; without a note the agent does not take itself for logged in.
Status add_login_files(PreparedMission& prepared, WallTime now) {
    const WallTime end{now.unix_ms + prepared.mission.ttl_ms};
    for (const profiles::Service& service : prepared.mission.services) {
        if (!service.login) continue;
        const auto record = profiles::read_consent_record(prepared.places.store(), service.account);
        if (!record && record.error().code == Errc::NotFound) continue;
        if (!record) return record.error();
        if (!record->shown) continue;
        const auto& scopes = record->received ? *record->received : record->asked;
        for (HomeFile& file : login_files(*service.login, *record->shown, scopes, now, end)) {
            prepared.plan.home_files.push_back(std::move(file));
        }
    }
    return {};
}

}  // namespace

Result<PreparedMission> prepare_mission(const Options& options, const Clock& clock) {
    PreparedMission prepared;
    prepared.environment = environment_of_this_process();
    prepared.places = places_of_this_process();
    SANCTUM_CHECK(check_own_folders(prepared.places, prepared.environment));
    SANCTUM_TRY(prepared.config, load_config(options, prepared.places, prepared.environment));
    // SECURITY: from here on no copy of them is in what the mission, or any other process, is made of.
    const SecretVariables secrets = take_secret_variables(prepared.config, prepared.environment);

    const std::string from_environment = value_or_empty(prepared.environment, "SANCTUM_PROFILE");
    SANCTUM_TRY(const std::string path, profiles::find_profile(options.profile, from_environment, prepared.places));
    SANCTUM_TRY(const profiles::ProfileFile file, profiles::read_profile_file(path));

    SANCTUM_TRY(const profiles::Profile profile, profiles::load_profile(file.path, file.text));
    SANCTUM_TRY(prepared.catalog, profiles::load_catalog(profile, prepared.places));
    SANCTUM_TRY(const std::string folder, real_path(".", "working directory"));
    const profiles::Caller caller{folder, home_of(prepared.environment), prepared.environment, prepared.places.state};
    SANCTUM_TRY(prepared.mission, profiles::resolve_mission(profile, prepared.config, prepared.catalog,
                                                            overrides_of(options), caller, make_ulid(clock.wall())));
    // A dry run does nothing, so it is the way to look at a profile before trusting it.
    if (!options.dry_run) {
        SANCTUM_CHECK(require_trust(file, profiles::exposure_line(prepared.mission, prepared.catalog),
                                    prepared.places));
    }
    prepared.mission.profile_path = file.path;
    prepared.mission.profile_sha256 = file.sha256;
    SANCTUM_TRY(prepared.facts, gather_host_facts(prepared.mission));
    gather_operators_files(prepared);
    SANCTUM_TRY(prepared.plan, plan_of(options, prepared, folder));
    SANCTUM_CHECK(add_login_files(prepared, clock.wall()));
    SANCTUM_TRY(prepared.witness, find_witness(prepared));
    if (!options.dry_run) {
        SANCTUM_TRY(prepared.variables, seal_secret_variables(secrets, prepared.mission, prepared.config));
    }
    for (const GrantFacts& grant : folders_to_care_for(prepared.mission, prepared.facts)) {
        SANCTUM_TRY(runs_later::Snapshot before, runs_later::remember(grant.real_path));
        prepared.care.push_back({std::move(before), prepared.mission.sandbox.runs_later, grant.owner, grant.group});
    }
    return prepared;
}

std::map<std::string, std::string> environment_of_this_process() {
    std::map<std::string, std::string> environment;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        std::string text = *entry;
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) continue;
        environment.emplace(text.substr(0, equals), text.substr(equals + 1));
        wipe(text);  // one of them may be a credential; take_secret_variables() sees to the others
    }
    return environment;
}

}  // namespace sanctum::launcher
