// SPDX-License-Identifier: Apache-2.0
#include "console/doctor.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

namespace sanctum::console {
namespace {

constexpr std::uint32_t kLandlockAbiOfEveryLayer = 6;
constexpr std::uint64_t kStateBytesEnough = 256ULL * 1024 * 1024;

using Version = std::pair<int, int>;
constexpr Version kOldestKernel{5, 19};
constexpr Version kKernelOfEveryLayer{6, 12};

Version version_of(const std::string& release) {
    Version version{0, 0};
    const char* end = release.data() + release.size();
    const auto major = std::from_chars(release.data(), end, version.first);
    if (major.ec == std::errc{} && major.ptr != end) std::from_chars(major.ptr + 1, end, version.second);
    return version;
}

// Collects findings of one group.
class Group {
public:
    Group(std::vector<Finding>& findings, std::string name) : findings_(findings), name_(std::move(name)) {}
    void good(std::string what) { findings_.push_back({name_, Health::Good, std::move(what), {}}); }
    void warn(std::string what, std::string mend) {
        findings_.push_back({name_, Health::Warning, std::move(what), std::move(mend)});
    }
    void bad(std::string what, std::string mend) {
        findings_.push_back({name_, Health::Bad, std::move(what), std::move(mend)});
    }

private:
    std::vector<Finding>& findings_;
    std::string name_;
};

void examine_kernel(const MachineFacts& facts, Group group) {
    const Version version = version_of(facts.kernel_release);
    if (version < kOldestKernel) group.bad("kernel " + facts.kernel_release, "Sanctum needs 5.19 or newer");
    else if (version < kKernelOfEveryLayer) group.warn("kernel " + facts.kernel_release, "6.12 has every layer");
    else group.good("kernel " + facts.kernel_release);
    if (facts.has_seccomp_notify) group.good("system call notices");
    else group.bad("no system call notices", "a kernel with CONFIG_SECCOMP_FILTER, outside of another sandbox");
    const std::string abi = "Landlock ABI " + std::to_string(facts.landlock_abi);
    if (facts.landlock_abi >= kLandlockAbiOfEveryLayer) group.good(abi);
    else if (facts.landlock_abi > 0) group.warn(abi, "6.12 or newer restricts abstract sockets and signals as well");
    else group.bad("Landlock is " + facts.landlock_why, "add `landlock` to the kernel's lsm= option and boot again");
}

// Each engine's own word for it.
std::string unmasking(const MachineFacts& facts) {
    return facts.container == "podman" ? "--security-opt unmask=ALL" : "--security-opt systempaths=unconfined";
}

// The likely reason first: it decides what helps.
std::string mend_namespaces(const MachineFacts& facts) {
    if (facts.max_user_namespaces == 0) return "sysctl -w user.max_user_namespaces=15000";
    if (facts.uid != 0 && facts.unprivileged_userns_clone == 0) return "sysctl -w kernel.unprivileged_userns_clone=1";
    if (facts.uid != 0 && facts.apparmor_restricts_userns == 1) {
        return "AppArmor forbids it to ordinary programs: load Sanctum's AppArmor profile "
               "(share/sanctum/apparmor/sanctum-run says how; a build folder has none, `cmake --install` makes one), "
               "or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    }
    if (facts.is_container && facts.trial.failed_at == "mounting /proc") {
        return "the container masks /proc: start it with " + unmasking(facts);
    }
    if (facts.is_container) {
        return "the container forbids it: start it with --security-opt seccomp=unconfined --security-opt "
               "apparmor=unconfined, or with a seccomp profile that allows clone and unshare";
    }
    return "run on the machine itself, outside of any other sandbox";
}

void examine_namespaces(const MachineFacts& facts, Group group) {
    const NamespaceTrial& trial = facts.trial;
    if (trial.proc) {
        group.good("user, mount, network and process namespaces, own /proc (tried)");
        return;
    }
    const std::string why = trial.sys_errno == 0 ? "" : std::string(": ") + std::strerror(trial.sys_errno);
    group.bad(trial.failed_at + " failed" + why, mend_namespaces(facts));
}

void examine_container(const MachineFacts& facts, Group group) {
    if (!facts.is_container && facts.seccomp_mode == 0) {
        group.good("no container or other sandbox around us");
        return;
    }
    if (facts.is_container) group.good("inside " + facts.container);
    if (facts.seccomp_mode != 0) {
        // Harmless where the trial succeeded.
        if (facts.trial.proc) group.good("another system call filter is active, and lets Sanctum work");
        else group.warn("another system call filter is active", "--security-opt seccomp=unconfined may help");
    }
    if (facts.has_masked_proc && !facts.trial.proc) {
        group.warn("parts of /proc are masked", unmasking(facts));
    }
    if (facts.has_no_new_privileges) group.good("no_new_privs is set; Sanctum needs no privileges");
}

void examine_limits(const MachineFacts& facts, Group group) {
    bool has_memory = false;
    for (const std::string& controller : facts.cgroup2_delegated) has_memory = has_memory || controller == "memory";
    if (has_memory) group.good("cgroup v2 is delegated to this user");
    else if (facts.has_cgroup1) group.good("cgroup v1 controllers can be used");
    else {
        group.warn("no cgroup for this user: limits are set per process (rlimits)",
                   "systemd-run --user --scope -p Delegate=yes sanctum-run ...");
    }
}

void examine_clients(const MachineFacts& facts, Group group) {
    if (facts.certificate_variables.empty()) {
        group.good("no inherited variable points clients at another CA bundle");
        return;
    }
    std::string names;
    for (const std::string& name : facts.certificate_variables) names += (names.empty() ? "" : ", ") + name;
    group.good("set here, not passed to agents, whom Sanctum's own bundle serves: " + names);
}

void examine_state(const MachineFacts& facts, Group group) {
    const std::string place = facts.state_folder + " on " + facts.state_filesystem;
    if (!facts.state_is_writable) group.bad(facts.state_folder + " cannot be written", "chown it to this user");
    else if (facts.state_filesystem == "tmpfs" || facts.state_filesystem == "ramfs") {
        group.warn(place + " does not survive a reboot: leases open at a power cut would be forgotten",
                   "set XDG_STATE_HOME to a folder on a disk");
    } else if (facts.state_filesystem == "overlay") {
        group.warn(place + " may not survive this container", "mount a volume there, or set XDG_STATE_HOME to one");
    } else {
        group.good(place);
    }
    if (facts.state_free_bytes < kStateBytesEnough) {
        group.warn("only " + std::to_string(facts.state_free_bytes / 1024 / 1024) + " MiB left for records",
                   "a full disk ends missions: make room");
    }
    if (facts.unix_ms < facts.program_unix_ms) group.warn("the clock is earlier than this program", "set it (NTP)");
    else group.good("clock");
}

void examine_secrets(const MachineFacts& facts, Group group) {
    if (!facts.has_store) group.warn("no store of credentials (" + facts.store + ")", "sanctum vault init");
    else if (facts.unlock.starts_with("key-file:") && !facts.can_read_key_file) {
        group.bad("the store's " + facts.unlock + " cannot be read", "restore the file, or change [store] unlock");
    } else if (facts.unlock.starts_with("key-file:")) {
        group.good("store of credentials, opened by a key file");
    } else {
        group.good("store of credentials (" + (facts.unlock.empty() ? "opened by hand" : facts.unlock) +
                   "; sanctum vault unlock keeps it open)");
    }
    if (!facts.ledger_key_fault.empty()) {
        group.bad("ledger key: " + facts.ledger_key_fault, "restore ledger.key (chmod 600) and ledger.pub");
    } else {
        group.good(facts.has_ledger_key ? "ledger key" : "ledger key (made with the first mission)");
    }
    if (!facts.configuration_fault.empty()) group.bad(facts.configuration_fault, "mend the file");
    else if (facts.has_configuration) group.good("configuration " + facts.configuration);
    else group.warn("no configuration (" + facts.configuration + "): only plain hosts can be used",
                    "write one (`man sanctum-config`), or take over what `sanctum init --agent NAME` prints");
    for (const std::string& folder : facts.writable_by_others) {
        group.bad(folder + " can be changed by others", "chmod go-w " + folder);
    }
}

// How each agent can log in within a mission, and what of its own cannot be captured.
struct AgentLogins {
    std::string_view catalog;
    std::string_view possible;
    std::string_view impossible;
};
constexpr std::array<AgentLogins, 2> kAgentLogins = {{
    {"claude", "`claude auth login`: a person opens the address it prints and pastes the code",
     "a browser that comes back by itself: the port it comes back to is inside"},
    {"codex", "`codex login --device-auth`: a person types the code that it prints",
     "`codex login` with a browser, which comes back to a port inside"},
}};

void examine_logins(const MachineFacts& facts, Group group) {
    for (const AgentLogins& agent : kAgentLogins) {
        const auto& used = facts.login_catalogs;
        if (std::find(used.begin(), used.end(), agent.catalog) == used.end()) continue;
        const std::string name(agent.catalog);
        group.good(name + " logs in outside by `sanctum connect`, and within a mission (login = \"capture\") by " +
                   std::string(agent.possible));
        group.good(name + ": not captured can be " + std::string(agent.impossible));
    }
}

void examine_installation(const MachineFacts& facts, Group group) {
    for (const std::string& program : facts.missing_programs) {
        group.bad(program + " is missing", "install Sanctum as a whole");
    }
    if (facts.missing_programs.empty()) group.good("all programs");
    if (facts.has_catalog) group.good("catalog");
    else group.bad("the shipped catalog is missing", "install Sanctum as a whole");
}

}  // namespace

std::string_view name_of(Health health) {
    switch (health) {
        case Health::Good: return "good";
        case Health::Warning: return "warning";
        case Health::Bad: return "bad";
    }
    return "bad";
}

std::vector<Finding> examine(const MachineFacts& facts) {
    std::vector<Finding> findings;
    examine_kernel(facts, {findings, "Kernel"});
    examine_namespaces(facts, {findings, "Namespaces"});
    examine_container(facts, {findings, "Surroundings"});
    examine_limits(facts, {findings, "Limits"});
    examine_clients(facts, {findings, "Clients"});
    examine_state(facts, {findings, "State"});
    examine_secrets(facts, {findings, "Secrets"});
    examine_logins(facts, {findings, "Logins"});
    examine_installation(facts, {findings, "Installation"});
    return findings;
}

}  // namespace sanctum::console
