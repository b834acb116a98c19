// SPDX-License-Identifier: Apache-2.0
// spawn_probe: runs a command through spawn_confined() and release() and nothing else of Sanctum, so that the sandbox
// can be tested without interceptor, vault and ledger. Stands in for all three: listeners stay open and are not served.
//
//   spawn_probe [--workspace DIR] [--read PATH]... [--write PATH]... [--limit NAME=N]... [--no-watch] [--ttl MS]
//               [--port N]... [--new-session] [--abi N] [--render] [--serve] -- CMD [ARG]...
//
// Exit: the command's own, 128+N, or 125/126/127 as sanctum-run. `--serve` answers TCP connections with their dialled
// address and a newline, and continues notices, so that allowed twins have something to talk to.
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "base/confinement/self_confinement.hpp"
#include "launcher/confine/spawn.hpp"
#include "launcher/plan/sandbox_plan.hpp"
#include "tests/probes/stand_in.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace {

using namespace sanctum;
using launcher::InitEvent;

struct Arguments {
    profiles::Mission mission;
    std::vector<std::string> command;
    std::string working_directory;
    bool new_session = false;
    bool render = false;
    bool serve = false;
    bool end_at_once = false;
};

[[noreturn]] void stop(const std::string& text, int code) {
    std::fprintf(stderr, "spawn_probe: %s\n", text.c_str());
    std::exit(code);
}

void set_limit(profiles::SandboxLimits& limits, const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::uint64_t value = std::strtoull(word.c_str() + equals + 1, nullptr, 10);
    if (name == "memory") limits.memory_bytes = value;
    else if (name == "processes") limits.processes = value;
    else if (name == "cpus") limits.cpus_milli = value;
    else if (name == "file") limits.file_bytes = value;
    else if (name == "files") limits.open_files = value;
    else stop("unknown limit " + name, 125);
}

void add_port(profiles::Mission& mission, const std::string& port) {
    profiles::Host host;
    host.name = "probe.test";
    host.ports = {static_cast<std::uint16_t>(std::stoi(port))};
    mission.hosts.push_back(std::move(host));
}

Arguments parse(int count, char** words) {
    Arguments out;
    char folder[4096];
    if (::getcwd(folder, sizeof folder) == nullptr) stop("no working directory", 125);
    profiles::Sandbox& sandbox = out.mission.sandbox;
    sandbox.workspace = folder;
    out.mission.ttl_ms = 60'000;
    int at = 1;
    const auto value = [&]() -> std::string {
        if (at + 1 >= count) stop("a value is missing", 125);
        return words[++at];
    };
    for (; at < count && std::strcmp(words[at], "--") != 0; ++at) {
        const std::string word = words[at];
        if (word == "--workspace") sandbox.workspace = value();
        else if (word == "--read") sandbox.mounts.push_back({value(), "", false});
        else if (word == "--write") sandbox.mounts.push_back({value(), "", true});
        else if (word == "--limit") set_limit(sandbox.limits, value());
        else if (word == "--no-watch") sandbox.attribute = false;
        else if (word == "--ttl") out.mission.ttl_ms = std::stoll(value());
        else if (word == "--port") add_port(out.mission, value());
        else if (word == "--environment") sandbox.environment.emplace(value(), value());
        else if (word == "--new-session") out.new_session = true;
        else if (word == "--render") out.render = true;
        else if (word == "--serve") out.serve = true;
        else stop("unknown option " + word, 125);
    }
    for (profiles::Mount& mount : sandbox.mounts) mount.target = mount.source;
    for (++at; at < count; ++at) out.command.emplace_back(words[at]);
    out.working_directory = sandbox.workspace;
    return out;
}

int exit_code_of(const InitEvent& event) {
    return event.what == InitEvent::What::Exited ? event.value : 128 + event.value;
}

/// Waits for the end; the stand-in answers connections meanwhile.
int wait_for_end(launcher::ConfinedAgent& agent, probes::StandIn& stand_in) {
    for (;;) {
        std::vector<pollfd> watched{{agent.events.get(), POLLIN, 0}};
        stand_in.watch(watched);
        if (::poll(watched.data(), watched.size(), -1) < 0) continue;
        stand_in.serve(watched);
        for (;;) {
            const auto event = launcher::next_event(agent);
            if (!event) return 125;
            if (!*event) break;
            const auto what = (*event)->what;
            if (what == InitEvent::What::TimeRanOut) return 124;
            if (what == InitEvent::What::Exited || what == InitEvent::What::Signalled) return exit_code_of(**event);
        }
    }
}

int run(const Arguments& arguments) {
    const auto facts = launcher::gather_host_facts(arguments.mission);
    if (!facts) stop(facts.error().what, 125);
    const auto plan = launcher::plan_sandbox(arguments.mission, *facts, arguments.command, arguments.new_session,
                                             arguments.working_directory, {});
    if (!plan) stop(plan.error().what, 125);
    if (arguments.render) {
        std::fputs(launcher::render_plan(*plan).c_str(), stdout);
        return 0;
    }
    auto agent = launcher::spawn_confined(*plan);
    if (!agent) stop(agent.error().what, 125);
    const Status released = launcher::release(*agent, *plan, probes::kAuthority, "{\"schema\":\"sanctum.policy/1\"}");
    if (!released) {
        launcher::kill_tree(*agent);
        const Error& error = released.error();
        stop(error.what, error.code == Errc::NotFound ? 127 : error.code == Errc::NotPermitted ? 126 : 125);
    }
    probes::StandIn stand_in(*agent, arguments.serve);
    const int code = wait_for_end(*agent, stand_in);
    launcher::kill_tree(*agent);
    return code;
}

}  // namespace

int main(int count, char** words) {
    const Status locked = become_undumpable();
    if (!locked) stop(locked.error().what, 125);
    Arguments arguments = parse(count, words);
    arguments.mission.id = make_ulid(SystemClock().wall());
    return run(arguments);
}
