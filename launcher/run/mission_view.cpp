// SPDX-License-Identifier: Apache-2.0
// What `show` answers on the control socket.
#include "launcher/run/mission_loop.hpp"

#include <unistd.h>

namespace sanctum::launcher {
namespace {

struct PathsView {
    std::string folder, ledger, receipt, control_socket, workspace;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("folder", self.folder);
        archive("ledger", self.ledger);
        archive("receipt", self.receipt);
        archive("control_socket", self.control_socket);
        archive("workspace", self.workspace);
    }
};

struct ProcessesView {
    std::int64_t launcher = 0, interceptor = 0, dialler = 0, vault = 0, init = 0, agent = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("launcher", self.launcher);
        archive("interceptor", self.interceptor);
        archive("dialler", self.dialler);
        archive("vault", self.vault);
        archive("init", self.init);
        archive("agent", self.agent);
    }
};

struct CountsView {
    std::uint64_t connections = 0, allowed = 0, refused = 0, open = 0, attempts_refused = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("connections", self.connections);
        archive("allowed", self.allowed);
        archive("refused", self.refused);
        archive("open", self.open);
        archive("attempts_refused", self.attempts_refused);
    }
};

struct LeaseView {
    std::string lease, service, account, state;
    std::int64_t expires_unix_ms = 0;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("lease", self.lease);
        archive("service", self.service);
        archive("account", self.account);
        archive("state", self.state);
        archive("expires_unix_ms", self.expires_unix_ms);
    }
};

struct MissionView {
    int v = 1;
    bool ok = true;
    std::string mission, name, agent, purpose, state, profile, profile_sha256, workspace;
    std::vector<std::string> command;
    std::int64_t started_unix_ms = 0, ends_unix_ms = 0;
    ProcessesView processes;
    PathsView paths;
    CountsView counts;
    std::map<std::string, std::uint64_t> refused_by_reason;
    std::vector<LeaseView> leases;
    std::string parent;                 ///< empty: a person started it
    std::vector<std::string> children;  ///< that run
    std::vector<std::string> services;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("v", self.v);
        archive("ok", self.ok);
        archive("mission", self.mission);
        archive("name", self.name);
        archive("agent", self.agent);
        archive("purpose", self.purpose);
        archive("state", self.state);
        archive("profile", self.profile);
        archive("profile_sha256", self.profile_sha256);
        archive("workspace", self.workspace);
        archive("command", self.command);
        archive("started_unix_ms", self.started_unix_ms);
        archive("ends_unix_ms", self.ends_unix_ms);
        archive("processes", self.processes);
        archive("paths", self.paths);
        archive("counts", self.counts);
        archive("refused_by_reason", self.refused_by_reason);
        archive("leases", self.leases);
        archive("parent", self.parent);
        archive("children", self.children);
        archive("services", self.services);
    }
};

PathsView paths_of(const PreparedMission& prepared) {
    const std::string folder = prepared.places.mission(prepared.mission.id);
    return {folder, folder + "/ledger.jsonl", folder + "/receipt.json",
            prepared.places.control_socket(prepared.mission.id), prepared.mission.sandbox.workspace};
}

}  // namespace

std::string describe_mission(const MissionParts& parts, std::string_view state,
                             const std::vector<std::string>& children) {
    const profiles::Mission& mission = parts.prepared.mission;
    const Counts& counts = parts.record.counts();
    MissionView view;
    view.mission = mission.id;
    view.name = mission.name;
    view.agent = mission.agent;
    view.purpose = mission.purpose;
    view.state = state;
    view.profile = mission.profile_path;
    view.profile_sha256 = mission.profile_sha256;
    view.workspace = mission.sandbox.workspace;
    view.command = parts.prepared.plan.command;
    view.started_unix_ms = parts.times.started_unix_ms;
    view.ends_unix_ms = parts.times.ends_unix_ms;
    view.processes = {::getpid(), parts.interceptor.process.pid, parts.dialler_pid, parts.vault.process.pid,
                      parts.agent.init_pid, parts.agent.agent_pid};
    view.paths = paths_of(parts.prepared);
    view.counts = {counts.connections, counts.allowed, counts.refused, parts.record.open_exchanges(),
                   counts.attempts_refused};
    view.refused_by_reason = counts.refused_by_reason;
    for (const auto& [id, lease] : parts.record.last_leases()) {
        view.leases.push_back({id, lease.service, lease.account, lease.state, lease.expires_unix_ms});
    }
    view.parent = mission.parent;
    view.children = children;
    for (const profiles::Service& service : mission.services) view.services.push_back(service.name);
    return wire::to_json(view);
}

}  // namespace sanctum::launcher
