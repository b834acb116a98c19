// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/prepare_child.hpp"

#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "launcher/run/preparation_parts.hpp"
#include "launcher/run/secret_variables.hpp"
#include "profiles/schema/delegated.hpp"

#include <algorithm>

namespace sanctum::launcher {
namespace {

constexpr const char* kNotForAgents = "the child mission could not be set up; the parent's record says why";

ChildRefusal told(std::string reason, const Error& error) { return {std::move(reason), error.what, error.what}; }

ChildRefusal kept(const Error& error) { return {"setup", error.what, kNotForAgents}; }

// The file's own name, for messages; nothing is opened by it.
std::string file_name_of(const ChildRequest& request) {
    const std::string name = request.profile_name.substr(request.profile_name.rfind('/') + 1);
    return name.empty() ? "profile" : name;
}

// SECURITY: of the client's variables only those that the parent's profile gave to its agent; the child's profile
// chooses among them. Nothing of them reaches a process of ours.
profiles::Caller caller_of(const ChildRequest& request, const ParentFile& parent, const PreparedMission& prepared) {
    profiles::Caller caller;
    caller.working_directory = parent.mission.sandbox.workspace;
    caller.home = home_of(prepared.environment);
    caller.state_folder = prepared.places.state;
    for (const auto& [name, value] : request.variables) {
        if (parent.mission.sandbox.environment.contains(name)) caller.environment.emplace(name, value);
    }
    return caller;
}

// SECURITY: a path of the parent's that leads somewhere else by now was changed by somebody, perhaps by its agent.
Status check_same_places(const HostFacts& facts, const ParentFile& parent) {
    for (const auto& [path, grant] : facts.grants) {
        const auto known = parent.real_paths.find(path);
        if (known != parent.real_paths.end() && known->second == grant.real_path) continue;
        return Error{Errc::Denied, path + " is not the place any more that the parent was given"};
    }
    return {};
}

Status plan_child(PreparedMission& prepared, const ChildRequest& request, const ParentFile& parent) {
    SANCTUM_TRY(prepared.facts, gather_host_facts(prepared.mission, GrantSearch::No));
    SANCTUM_CHECK(check_same_places(prepared.facts, parent));
    prepared.facts.sockets = parent.sockets;
    prepared.facts.secrets = parent.secrets;
    prepared.facts.terminal_type = value_or_empty(request.variables, "TERM");
    gather_operators_files(prepared);
    constexpr bool kNewSession = true;  // the terminal, if there is one, is its parent's
    SANCTUM_TRY(prepared.plan, plan_sandbox(prepared.mission, prepared.facts, request.command, kNewSession,
                                            request.working_directory, parent.runs_later));
    SANCTUM_TRY(prepared.witness, find_witness(prepared));
    return {};
}

}  // namespace

std::variant<PreparedMission, ChildRefusal> prepare_child_mission(const ChildRequest& request, const ParentFile& parent,
                                                                  const Clock& clock) {
    PreparedMission prepared;
    prepared.environment = environment_of_this_process();
    prepared.places = places_of_this_process();
    prepared.places.configuration = parent.configuration;
    const profiles::Caller caller = caller_of(request, parent, prepared);
    const profiles::Overrides overrides{request.settings, request.environment, {}, request.ttl, request.name};

    // First what the agent may be told about: its own text, and what it knows of its own rules.
    const Result<profiles::Profile> profile = profiles::load_profile(file_name_of(request), request.profile);
    if (!profile) return told("profile", profile.error());
    const Status within = profiles::check_within(*profile, overrides, caller, parent.mission);
    if (!within) return told(within.error().code == Errc::Denied ? "wider" : "profile", within.error());

    // From here on the operator's configuration is looked at, and what is wrong with it is not the agent's to know.
    auto config = profiles::load_operator_config(prepared.places.configuration, profiles::Missing::IsEmpty);
    if (!config) return kept(config.error());
    prepared.config = std::move(*config);
    const SecretVariables secrets = take_secret_variables(prepared.config, prepared.environment);
    auto catalog = profiles::load_catalog(*profile, prepared.places);
    if (!catalog) return kept(catalog.error());
    prepared.catalog = std::move(*catalog);
    auto resolved = profiles::resolve_mission(*profile, prepared.config, prepared.catalog, overrides, caller,
                                              make_ulid(clock.wall()));
    if (!resolved) return kept(resolved.error());
    const std::int64_t left_ms = parent.ends_boot_ms - clock.boot().ms;
    if (left_ms < kMissionTtlMin.count()) {
        return told("ending", Error{Errc::Denied, "the parent mission has no time left"});
    }
    auto narrowed = profiles::narrow_to_parent(std::move(*resolved), parent.mission, left_ms);
    if (!narrowed) return told("wider", narrowed.error());
    prepared.mission = std::move(*narrowed);
    prepared.mission.profile_path = "child of " + parent.mission.id + ": " + file_name_of(request);

    if (const Status planned = plan_child(prepared, request, parent); !planned) return kept(planned.error());
    auto variables = seal_secret_variables(secrets, prepared.mission, prepared.config);
    if (!variables) return kept(variables.error());
    prepared.variables = std::move(*variables);
    return prepared;
}

}  // namespace sanctum::launcher
