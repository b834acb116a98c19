// SPDX-License-Identifier: Apache-2.0
// The sandbox's files and variables. Paths are completed as text; what they are on this machine is the plan's concern.
#include "profiles/schema/resolve_parts.hpp"

#include "profiles/schema/words.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace sanctum::profiles {
namespace {

// Names of variables that a profile may not touch, with the reason an author is told.
struct Reserved {
    std::string_view name;  ///< a trailing `*` covers every name with this beginning
    const char* reason;
};

constexpr const char* kLaunchers = "the launcher sets it";
constexpr const char* kTrust = "Sanctum's own certificate bundle would no longer be the one in use";
constexpr const char* kLoader = "it changes what every program loads or runs";
constexpr const char* kSocket = "it names a socket or descriptor of the machine, which is not in the sandbox";
constexpr const char* kProxy = "no proxy is needed: every connection already leads to Sanctum";

constexpr std::array kReserved = {
    Reserved{"SANCTUM_*", kLaunchers},
    Reserved{"HOME", kLaunchers},
    Reserved{"USER", kLaunchers},
    Reserved{"LOGNAME", kLaunchers},
    Reserved{"TMPDIR", kLaunchers},
    Reserved{"PWD", kLaunchers},
    Reserved{"OLDPWD", kLaunchers},
    Reserved{"SHLVL", kLaunchers},
    Reserved{"_", kLaunchers},
    Reserved{"LD_*", kLoader},
    Reserved{"GLIBC_TUNABLES", kLoader},
    Reserved{"GCONV_PATH", kLoader},
    Reserved{"BASH_ENV", kLoader},
    Reserved{"ENV", kLoader},
    Reserved{"BASH_FUNC_*", kLoader},
    Reserved{"LISTEN_FDS", kSocket},
    Reserved{"LISTEN_PID", kSocket},
    Reserved{"LISTEN_FDNAMES", kSocket},
    Reserved{"NOTIFY_SOCKET", kSocket},
    Reserved{"WATCHDOG_*", kSocket},
    Reserved{"CREDENTIALS_DIRECTORY", kSocket},
    Reserved{"SSH_AUTH_SOCK", kSocket},
    Reserved{"SSH_AGENT_PID", kSocket},
    Reserved{"GPG_AGENT_INFO", kSocket},
    Reserved{"DBUS_*", kSocket},
    Reserved{"XDG_RUNTIME_DIR", kSocket},
    Reserved{"DISPLAY", kSocket},
    Reserved{"WAYLAND_DISPLAY", kSocket},
    Reserved{"XAUTHORITY", kSocket},
    Reserved{"DOCKER_HOST", kSocket},
    Reserved{"KRB5CCNAME", kSocket},
    Reserved{"TMUX", kSocket},
    Reserved{"STY", kSocket},
    Reserved{"SSL_CERT_FILE", kTrust},
    Reserved{"SSL_CERT_DIR", kTrust},
    Reserved{"CURL_CA_BUNDLE", kTrust},
    Reserved{"REQUESTS_CA_BUNDLE", kTrust},
    Reserved{"PIP_CERT", kTrust},
    Reserved{"GIT_SSL_CAINFO", kTrust},
    Reserved{"GIT_SSL_CAPATH", kTrust},
    Reserved{"NODE_EXTRA_CA_CERTS", kTrust},
    Reserved{"AWS_CA_BUNDLE", kTrust},
    Reserved{"HTTPLIB2_CA_CERTS", kTrust},
    Reserved{"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", kTrust},
    Reserved{"NIX_SSL_CERT_FILE", kTrust},
    Reserved{"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", kTrust},
    Reserved{"DENO_CERT", kTrust},
    Reserved{"CODEX_CA_CERTIFICATE", kTrust},
    Reserved{"CARGO_HTTP_CAINFO", kTrust},
    Reserved{"HTTP_PROXY", kProxy},
    Reserved{"HTTPS_PROXY", kProxy},
    Reserved{"ALL_PROXY", kProxy},
    Reserved{"NO_PROXY", kProxy},
    Reserved{"FTP_PROXY", kProxy},
    Reserved{"http_proxy", kProxy},
    Reserved{"https_proxy", kProxy},
    Reserved{"all_proxy", kProxy},
    Reserved{"no_proxy", kProxy},
    Reserved{"ftp_proxy", kProxy},
};

constexpr std::array<std::string_view, 11> kCredentialEndings = {
    "TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "PAT", "COOKIE", "AUTH"};
constexpr std::array<std::string_view, 3> kCredentialBeginnings = {"AWS_", "AZURE_", "VAULT_"};

const char* reserved_reason(std::string_view name) {
    for (const Reserved& reserved : kReserved) {
        const bool is_prefix = reserved.name.ends_with('*');
        const std::string_view known = reserved.name.substr(0, reserved.name.size() - (is_prefix ? 1 : 0));
        if (is_prefix ? name.starts_with(known) : name == known) return reserved.reason;
    }
    return nullptr;
}

bool looks_like_a_credential(std::string_view name) {
    std::string upper(name);
    for (char& c : upper) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    const auto ends = [&](std::string_view ending) {
        return upper == ending || (upper.ends_with(ending) && upper[upper.size() - ending.size() - 1] == '_') ||
               upper.ends_with("API" + std::string(ending));
    };
    return std::any_of(kCredentialEndings.begin(), kCredentialEndings.end(), ends) ||
           std::any_of(kCredentialBeginnings.begin(), kCredentialBeginnings.end(),
                       [&](std::string_view beginning) { return upper.starts_with(beginning); });
}

class Variables {
public:
    explicit Variables(Resolving& to) : to_(to) {}

    void pass(const PlacedText& name) {
        if (!claim(name)) return;
        if (const Account* account = account_of(name.value)) {
            to_.diagnostics.error(name.at, "`" + name.value + "` is the credential of account `" + account->name +
                                               "`, and an agent never holds one",
                                  "remove it; a service with this account puts it on outside (" + account->place + ")");
            return;
        }
        if (looks_like_a_credential(name.value)) {
            to_.diagnostics.error(name.at, "`" + name.value + "` looks like a credential, and an agent never holds one",
                                  "let the service show a placeholder: present = { " + name.value +
                                      " = true }; if it is none, write its value into `set`");
            return;
        }
        const auto value = to_.caller.environment.find(name.value);
        if (value != to_.caller.environment.end()) to_.mission.sandbox.environment[name.value] = value->second;
    }
    void set(const PlacedText& name, const std::string& value) {
        if (claim(name)) to_.mission.sandbox.environment[name.value] = value;
    }

private:
    [[nodiscard]] const Account* account_of(const std::string& variable) const {
        for (const Account& account : to_.config.accounts) {
            if (account.source == "environment" && account.variable == variable) return &account;
        }
        return nullptr;
    }
    // True when the name may be used and nobody else gave it a value.
    bool claim(const PlacedText& name) {
        if (const char* reason = reserved_reason(name.value)) {
            to_.diagnostics.error(name.at, "`" + name.value + "` cannot be given to the agent: " + reason, "remove it");
            return false;
        }
        const auto [known, is_first] = claimed_.emplace(name.value, name.at);
        if (is_first) return true;
        to_.diagnostics.error(
            name.at,
            "ambiguous: `" + name.value + "` already has a value from " + to_.diagnostics.name_of(known->second),
            "keep one of the two");
        return false;
    }

    Resolving& to_;
    std::map<std::string, Place> claimed_;
};

/// The granted places. Naming the workspace itself as one to read makes it read-only.
class Mounts {
public:
    explicit Mounts(Resolving& to) : to_(to) {}

    void add(const PlacedText& written, bool is_writable) {
        const auto path = complete(written.value, written.at);
        if (path) add_mount({*path, *path, is_writable}, written.at);
    }
    void add(const MountText& written) {
        const auto source = complete(written.source, written.at);
        const auto target = complete(written.target, written.at);
        if (source && target) add_mount({*source, *target, written.writable}, written.at);
    }

private:
    std::optional<std::string> complete(const std::string& path, Place at) {
        return accept(to_.diagnostics, at, parse_path(path, to_.caller.working_directory, to_.caller.home));
    }
    void add_mount(Mount mount, Place at) {
        if (mount.source == "/" || mount.target == "/") {
            return to_.diagnostics.error(at, "the whole machine cannot be given to an agent",
                                         "name the folders it needs");
        }
        const auto [known, is_first] = targets_.emplace(mount.target, at);
        if (!is_first) {
            return to_.diagnostics.error(
                at, "ambiguous: " + mount.target + " is already given by " + to_.diagnostics.name_of(known->second),
                "keep one of the two");
        }
        Sandbox& sandbox = to_.mission.sandbox;
        if (mount.source != sandbox.workspace || mount.target != sandbox.workspace) {
            sandbox.mounts.push_back(std::move(mount));
        } else if (mount.writable) {
            to_.diagnostics.error(at, "the workspace is writable already", "remove it from here");
        } else {
            sandbox.workspace_writable = false;
        }
    }

    Resolving& to_;
    std::map<std::string, Place> targets_;
};

}  // namespace

void resolve_sandbox(const ProfileText& text, const std::vector<MountText>& mounts, Resolving& to) {
    const SandboxText& written = text.sandbox;
    Sandbox& sandbox = to.mission.sandbox;
    const PlacedText workspace = written.workspace.value_or(PlacedText{".", text.mission_at});
    const auto path =
        accept(to.diagnostics, workspace.at, parse_path(workspace.value, to.caller.working_directory, to.caller.home));
    if (path) sandbox.workspace = *path;
    // A relative one depends on the folder that it is looked at from: `check` notes it, the plan refuses it.
    const bool is_relative = !workspace.value.starts_with('/') && !workspace.value.starts_with('~');
    if (const auto wide = path && !is_relative ? too_wide(*path, to.caller.home) : std::nullopt) {
        to.diagnostics.error(workspace.at, "the workspace " + std::string(wide->why), wide->remedy);
    }
    Mounts list(to);
    for (const PlacedText& read : written.read) list.add(read, false);
    for (const PlacedText& write : written.write) list.add(write, true);
    for (const MountText& mount : mounts) list.add(mount);
    sandbox.home = written.home;
    if (written.home == Home::Kept) sandbox.home_store = to.caller.state_folder + "/homes/" + to.mission.agent;
    sandbox.runs_later = written.runs_later;
    sandbox.attribute = written.attribute;
    sandbox.limits = written.limits;
    sandbox.landlock_min = written.landlock_min;
}

void resolve_environment(const ProfileText& text, Resolving& to) {
    Variables variables(to);
    for (std::size_t i = 0; i < text.services.size() && i < to.mission.services.size(); ++i) {
        for (const PresentText& present : text.services[i].present) {
            variables.set(present.variable, to.mission.services[i].present.at(present.variable.value));
        }
    }
    for (const SetVariable& variable : text.sandbox.set) variables.set(variable.name, variable.value);
    for (const PlacedText& name : text.sandbox.pass) variables.pass(name);
}

}  // namespace sanctum::profiles
