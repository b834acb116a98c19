// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vault/vault_process.hpp"

#include "base/files.hpp"
#include "base/mission_id.hpp"
#include "vault/store.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault::test {
namespace {

constexpr std::chrono::seconds kGenerous{60};

[[noreturn]] void become_vault(int socket) {
    const std::string program = std::string(SANCTUM_BINARY_DIR) + "/bin/sanctum-vault";
    // Moved out of the way first: 3 may be in use.
    const int moved = ::fcntl(socket, F_DUPFD, 100);
    ::dup2(moved, 3);
    ::close(moved);
    // The leak checker needs ptrace, which the confined vault does not have.
    std::array<const char*, 3> environment = {"ASAN_OPTIONS=detect_leaks=0", "HOME=/nonexistent", nullptr};
    std::array<const char*, 2> arguments = {program.c_str(), nullptr};
    ::execve(program.c_str(), const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
    ::_exit(127);
}

}  // namespace

VaultProcess::VaultProcess() {
    const SystemClock clock;
    mission.id = make_ulid(clock.wall());
    NewStoreKeys keys;
    keys.key = create_key_file(folder / "store.key").value();
    config.store = folder / "store.sealed";
    config.unlock = "key-file:" + (folder / "store.key");
    SANCTUM_ASSERT(create_store(config.store, keys));
    const SealedBytes sealed = load_store(config.store).value();
    const LockedBytes key = open_key_slot(sealed.header.id, sealed.header.slots[0], *keys.key).value();
    SANCTUM_ASSERT(change_store(config.store, key, [](StoredItems& items) -> Result<Change> {
        items["team"] = StoredItem{1, "", LockedBytes(std::string_view(kStoredValue))};
        return Change::Write;
    }));
    profiles::Account account;
    account.name = "team";
    account.catalog = "git-http";
    account.source = "local";
    account.item = "team";
    account.username = "agent";
    config.accounts = {account};
}

VaultProcess::~VaultProcess() {
    if (pid > 0) kill_now();
}

void VaultProcess::start(int terminal) {
    auto [ours, theirs] = wire::make_channel_pair().value();
    auto [interceptor_ours, interceptor_theirs] = wire::make_channel_pair().value();
    pid = ::fork();
    if (pid == 0) become_vault(theirs.get());
    theirs.reset();
    launcher = wire::Channel(std::move(ours));
    interceptor = wire::Channel(std::move(interceptor_ours));
    SANCTUM_ASSERT(from_vault().as<wire::Hello>());
    const SystemClock clock;
    wire::StartVault message;
    message.mission = mission.id;
    message.state_folder = state;
    message.ends_boot_ms = clock.boot().ms + ttl_ms;
    message.ends_unix_ms = clock.wall().unix_ms + ttl_ms;
    message.descriptors = {"mission", "accounts", "interceptor"};
    const UniqueFd mission_fd = make_sealed_memfd("mission", wire::to_json(mission)).value();
    const UniqueFd accounts_fd = make_sealed_memfd("accounts", wire::to_json(config)).value();
    std::vector<int> descriptors = {mission_fd.get(), accounts_fd.get(), interceptor_theirs.get()};
    if (terminal >= 0) {
        message.descriptors.emplace_back("terminal");
        descriptors.push_back(terminal);
    }
    SANCTUM_ASSERT(launcher.send(message, descriptors));
}

wire::Packet VaultProcess::from_vault() {
    Result<wire::Packet> packet = launcher.receive_within(kGenerous);
    if (!packet) std::fprintf(stderr, "from the vault: %s\n", packet.error().what.c_str());
    return std::move(packet).value();
}

wire::Packet VaultProcess::to_interceptor() { return interceptor.receive_within(kGenerous).value(); }

std::vector<std::string> VaultProcess::start_and_wait() {
    start();
    const wire::Packet packet = from_vault();
    if (packet.kind == wire::Kind::Failed) std::fprintf(stderr, "%s\n", packet.body.c_str());
    return packet.as<wire::VaultReady>().value().services;
}

wire::Packet VaultProcess::need(const wire::LeaseNeed& need) {
    SANCTUM_ASSERT(interceptor.send(need));
    return to_interceptor();
}

int VaultProcess::wait() {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void VaultProcess::kill_now() {
    ::kill(pid, SIGKILL);
    static_cast<void>(wait());
}

std::vector<LeaseRow> VaultProcess::leases() const {
    return Journal::open(state, std::chrono::milliseconds(5000)).value().leases_of(mission.id).value();
}

std::string VaultProcess::status_line(const std::string& name) const {
    const std::string status = read_file("/proc/" + std::to_string(pid) + "/status", 65536).value();
    const std::size_t begin = status.find(name + ":\t");
    if (begin == std::string::npos) return {};
    const std::size_t value = begin + name.size() + 2;
    return status.substr(value, status.find('\n', value) - value);
}

}  // namespace sanctum::vault::test
