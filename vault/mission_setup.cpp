// SPDX-License-Identifier: Apache-2.0
#include "vault/mission_setup.hpp"

#include "base/confinement/self_confinement.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "vault/sources/command.hpp"
#include "vault/sources/local.hpp"
#include "vault/unlock.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using profiles::Account;
using Sources = std::map<std::string, AccountSource>;

constexpr AllowedCall kCallsOfTheVault[] = {
    {SYS_ppoll, "the loop"},
    {SYS_recvmsg, "messages"},
    {SYS_sendmsg, "messages"},
    {SYS_recvfrom, "answers of the command runner"},
    {SYS_sendto, "requests to the command runner"},
    {SYS_wait4, "the command runner's end"},
    {SYS_mlock, "key memory"},
    {SYS_munlock, "key memory"},
    {SYS_dup3, "stderr is given up when the launcher is gone"},
    {SYS_openat, "the journal's side files"},
    {SYS_pread64, "journal"},
    {SYS_pwrite64, "journal"},
    {SYS_fsync, "journal"},
    {SYS_fdatasync, "journal"},
    {SYS_ftruncate, "journal"},
    {SYS_fallocate, "journal"},
    {SYS_fchmod, "the journal's side files get its mode"},
    {SYS_fchown, "the journal's side files get its owner"},
    {SYS_faccessat, "journal: is there a side file"},
    {SYS_getcwd, "journal: absolute paths"},
    {SYS_readlinkat, "journal: absolute paths"},
    {SYS_unlinkat, "the journal's side files at its close"},
    {SYS_geteuid, "journal: who may give files away"},
#ifdef __x86_64__
    {SYS_poll, "the same calls as glibc and SQLite write them here"},
    {SYS_dup2, "as dup3"},
    {SYS_open, "as openat"},
    {SYS_stat, "as newfstatat"},
    {SYS_lstat, "as newfstatat"},
    {SYS_access, "as faccessat"},
    {SYS_readlink, "as readlinkat"},
    {SYS_unlink, "as unlinkat"},
#endif
};

Status fail_start(const std::string& what) { return Error{Errc::Protocol, "start: " + what}; }

template <class Value>
Result<Value> read_described(int fd, const char* role) {
    Result<std::string> text = read_sealed_memfd(fd, kMemfdBytesMax);
    if (!text) return std::move(text).error().in(role);
    Result<Value> value = wire::from_json<Value>(*text);
    if (!value) return std::move(value).error().in(role);
    return value;
}

Status take_roles(const wire::Packet& packet, std::map<std::string, int>& roles, MissionStart& start) {
    if (packet.descriptors.size() != start.message.descriptors.size()) {
        return fail_start("roles and descriptors do not match");
    }
    for (std::size_t i = 0; i < packet.descriptors.size(); ++i) {
        const std::string& role = start.message.descriptors[i];
        const int fd = packet.descriptors[i].get();
        if (!roles.try_emplace(role, fd).second) return fail_start("role " + role + " twice");
        if (role == "interceptor") start.interceptor = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
        else if (role == "terminal") start.terminal = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
        else if (role != "mission" && role != "accounts") return fail_start("unknown role " + role);
    }
    for (const char* role : {"mission", "accounts", "interceptor"}) {
        if (!roles.contains(role)) return fail_start(std::string("role ") + role + " is missing");
    }
    return {};
}

const Account* find_account(const profiles::VaultConfig& config, const std::string& name) {
    for (const Account& account : config.accounts) {
        if (account.name == name) return &account;
    }
    return nullptr;
}

// Accounts that services of the mission name, each once; what else the message brought is not looked at.
Result<std::vector<const Account*>> accounts_in_use(const MissionStart& start) {
    std::map<std::string, const Account*> found;
    for (const profiles::Service& service : start.mission.services) {
        if (service.account.empty()) continue;
        const Account* account = find_account(start.config, service.account);
        if (account == nullptr) {
            return Error{Errc::NotFound, "service " + service.name + ": account " + service.account +
                                             " is not in the operator's configuration"};
        }
        found[account->name] = account;
    }
    std::vector<const Account*> out;
    for (const auto& [name, account] : found) out.push_back(account);
    return out;
}

std::map<std::string, std::string> own_environment() {
    std::map<std::string, std::string> out;
    for (const char* name : {"HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}) {
        if (const char* value = std::getenv(name)) out[name] = value;
    }
    return out;
}

Status check_command(const Account& account) {
    if (account.command.empty() || !account.command.front().starts_with('/')) {
        return Error{Errc::InvalidProfile,
                     "account " + account.name + ": command must name a program by its full path"};
    }
    if (::access(account.command.front().c_str(), X_OK) != 0) {
        return Error{Errc::NotFound, "account " + account.name + ": " + account.command.front() +
                                         " is not there or cannot be executed"};
    }
    return {};
}

Status add_command_sources(const MissionStart& start, const std::vector<const Account*>& accounts, PollLoop& loop,
                           Sources& sources) {
    std::vector<Command> commands;
    for (const Account* account : accounts) {
        if (account->source != "command") continue;
        SANCTUM_CHECK(check_command(*account));
        Command command{account->command, environment_for_commands(own_environment())};
        command.environment.push_back("SANCTUM_MISSION=" + start.mission.id);
        command.environment.push_back("SANCTUM_ACCOUNT=" + account->name);
        commands.push_back(std::move(command));
    }
    if (commands.empty()) return {};
    SANCTUM_TRY(const std::shared_ptr<CommandRunner> runner,
                CommandRunner::start(std::move(commands), kCommandTimeout, loop));
    std::uint32_t index = 0;
    for (const Account* account : accounts) {
        if (account->source != "command") continue;
        sources[account->name] = {"command", account->username,
                                  std::make_unique<CommandSource>(runner, index++, account->command.front())};
    }
    return {};
}

// Opens the store, takes out what the mission needs, and closes it again: key and other items are gone before the
// first request.
Status add_local_sources(const MissionStart& start, const std::vector<const Account*>& accounts, int launcher_fd,
                         Sources& sources) {
    UnlockMeans means;
    means.spec = start.config.unlock;
    means.terminal = start.terminal.get();
    means.cancel_fd = launcher_fd;
    if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY")) means.credentials_directory = folder;
    SANCTUM_TRY(const SealedBytes sealed, load_store(start.config.store));
    SANCTUM_TRY(const LockedBytes key, unlock_store(sealed, start.config.store, means));
    Result<StoredItems> items = open_store(sealed, key);
    if (!items) return std::move(items).error().in(start.config.store);
    for (const Account* account : accounts) {
        if (account->source != "local") continue;
        const auto item = items->find(account->item);
        if (item == items->end()) {
            return Error{Errc::NotFound, "account " + account->name + ": " + start.config.store + " has no item `" +
                                             account->item + "` (add it with `sanctum vault add " + account->item +
                                             "`)"};
        }
        sources[account->name] = {"local", account->username,
                                  std::make_unique<LocalSource>(LockedBytes(item->second.value.reveal()))};
    }
    return {};
}

}  // namespace

Result<MissionStart> decode_start(const wire::Packet& packet) {
    MissionStart start;
    SANCTUM_TRY(start.message, packet.as<wire::StartVault>());
    std::map<std::string, int> roles;
    SANCTUM_CHECK(take_roles(packet, roles, start));
    SANCTUM_TRY(start.mission, read_described<profiles::Mission>(roles["mission"], "mission"));
    SANCTUM_TRY(start.config, read_described<profiles::VaultConfig>(roles["accounts"], "accounts"));
    if (!is_ulid(start.message.mission) || start.mission.id != start.message.mission) {
        return Error{Errc::Protocol, "start: the mission is not the one that was named"};
    }
    if (!start.message.state_folder.starts_with('/')) {
        return Error{Errc::Protocol, "start: the state folder is no absolute path"};
    }
    return start;
}

Result<Sources> make_sources(const MissionStart& start, int launcher_fd, PollLoop& loop) {
    SANCTUM_TRY(const std::vector<const Account*> accounts, accounts_in_use(start));
    Sources sources;
    bool needs_store = false;
    for (const Account* account : accounts) {
        if (account->source == "local") needs_store = true;
        else if (account->source != "command") {
            return Error{Errc::InvalidProfile,
                         "account " + account->name + ": unknown source `" + account->source + "`"};
        }
    }
    // The runner first: it must never have seen the store's memory.
    SANCTUM_CHECK(add_command_sources(start, accounts, loop, sources));
    if (needs_store) {
        SANCTUM_CHECK(add_local_sources(start, accounts, launcher_fd, sources));
    }
    return sources;
}

Status confine_vault(const std::string& state_folder) {
    SelfConfinement confinement;
    confinement.calls.assign(std::begin(kCallsOfTheVault), std::end(kCallsOfTheVault));
    confinement.paths.push_back({state_folder, AllowedPath::Access::ReadWrite});
    return confine_self(confinement);
}

std::string failure_reason(const Error& error) {
    if (error.code == Errc::Denied) return "store_passphrase";
    if (error.code == Errc::NotPermitted || error.code == Errc::Cancelled) return "store_locked";
    return "setup";
}

}  // namespace sanctum::vault
