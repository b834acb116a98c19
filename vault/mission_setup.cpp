// SPDX-License-Identifier: Apache-2.0
#include "vault/mission_setup.hpp"

#include "base/confinement/self_confinement.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/mission_id.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

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

constexpr AllowedCall kCallsThatReplaceItems[] = {
    {SYS_flock, "one user of an account's token at a time"},
    {SYS_renameat2, "the store's new file takes its place"},
    {SYS_mkdirat, "is the folder of the lock there"},
#ifdef __x86_64__
    {SYS_rename, "the same calls as glibc writes them here"},
    {SYS_mkdir, "as mkdirat"},
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
        else if (role == "variables") start.variables = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
        else if (role != "mission" && role != "accounts") return fail_start("unknown role " + role);
    }
    for (const char* role : {"mission", "accounts", "interceptor"}) {
        if (!roles.contains(role)) return fail_start(std::string("role ") + role + " is missing");
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

Status confine_vault(const std::string& state_folder, const std::vector<AllowedPath>& paths, bool replaces_items) {
    SelfConfinement confinement;
    confinement.calls.assign(std::begin(kCallsOfTheVault), std::end(kCallsOfTheVault));
    if (replaces_items) {
        confinement.calls.insert(confinement.calls.end(), std::begin(kCallsThatReplaceItems),
                                 std::end(kCallsThatReplaceItems));
    }
    confinement.paths = paths;
    confinement.paths.push_back({state_folder, AllowedPath::Access::ReadWrite});
    return confine_self(confinement);
}

std::string failure_reason(const Error& error) {
    if (error.code == Errc::Denied) return "store_passphrase";
    if (error.code == Errc::NotPermitted || error.code == Errc::Cancelled) return "store_locked";
    return "setup";
}

}  // namespace sanctum::vault
