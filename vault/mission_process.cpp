// SPDX-License-Identifier: Apache-2.0
#include "vault/mission_process.hpp"

#include "base/build_id.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "vault/make_sources.hpp"
#include "vault/mission_lock.hpp"
#include "vault/mission_setup.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

// The signals of a terminal and of a shutdown wait until everything is given back.
void outlive_signals() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    for (const int number : {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU}) {
        ::sigaction(number, &ignore, nullptr);
    }
    ::setsid();  // fails only where the launcher did it for us
}

// One mission, from `start` to the last lease's end.
class Vault final : public LeaseListener {
public:
    explicit Vault(UniqueFd launcher)
        : launcher_(std::move(launcher)), null_(::open("/dev/null", O_RDWR | O_CLOEXEC)) {}

    int run();

    // LeaseListener: out to the other processes.
    void held(const wire::LeaseHeld& message, const Secret& secret) override {
        to_interceptor(message, &secret);
    }
    void failed(const wire::LeaseFailed& message) override { to_interceptor(message, nullptr); }
    void gone(const wire::LeaseGone& message) override { to_interceptor(message, nullptr); }
    void changed(const wire::LeaseChanged& message) override { to_launcher(message); }
    void answered(const wire::LoginAnswered& message) override { to_interceptor(message, nullptr); }

private:
    Status prepare();
    Status greet();
    void serve();
    [[nodiscard]] std::optional<BootTime> next_tick() const;
    void take_from_launcher();
    void take_from_interceptor();
    [[nodiscard]] Status obey(const wire::Packet& packet);
    [[nodiscard]] Status answer(const wire::Packet& packet);
    void break_off(const Error& error);
    void lose_launcher();
    void lose_interceptor();
    [[nodiscard]] int leave();

    template <class Message>
    void to_launcher(const Message& message) {
        if (launcher_.is_open() && !launcher_.send(message)) lose_launcher();
    }
    template <class Message>
    void to_interceptor(const Message& message, const Secret* secret) {
        if (interceptor_.is_open() && !interceptor_.send(message, {}, secret)) lose_interceptor();
    }

    SystemClock clock_;
    PollLoop loop_;
    wire::Channel launcher_;
    wire::Channel interceptor_;
    UniqueFd null_;
    UniqueFd lock_;
    MissionStart start_;
    std::unique_ptr<Journal> journal_;
    ReaperSeal seal_;
    std::unique_ptr<ProviderClient> providers_;  ///< outlives the sources, which leases own
    std::unique_ptr<Leases> leases_;
    bool was_told_to_retire_ = false;
    bool must_end_ = false;
    std::optional<Error> broken_;
};

int Vault::run() {
    if (Status greeted = greet(); !greeted) {
        to_launcher(wire::Failed{greeted.error().what, "setup"});
        return 1;
    }
    if (Status prepared = prepare(); !prepared) {
        to_launcher(wire::Failed{prepared.error().what, failure_reason(prepared.error())});
        return 1;
    }
    serve();
    return leave();
}

Status Vault::greet() {
    SANCTUM_CHECK(launcher_.send(wire::Hello{build_id(), "vault", static_cast<std::uint64_t>(::getpid())}));
    SANCTUM_TRY(const wire::Packet packet, launcher_.receive_within(kVaultStartTimeout));
    SANCTUM_TRY(start_, decode_start(packet));
    return {};
}

// From here to the end of prepare() every step is fatal, and nothing was asked of any source yet.
Status Vault::prepare() {
    const std::string& state_folder = start_.message.state_folder;
    SANCTUM_CHECK(find_providers(start_, launcher_.fd(), clock_));
    // The runner of commands is forked in here, before the journal's locks exist: they must not be inherited.
    SANCTUM_TRY(MissionSources sources, make_sources(start_, launcher_.fd(), loop_, clock_));
    providers_ = std::move(sources.providers);
    start_.terminal.reset();
    start_.variables.reset();
    std::vector<std::string> services;
    for (const profiles::Service& service : start_.mission.services) {
        if (sources.accounts.contains(service.account)) services.push_back(service.name);
    }
    SANCTUM_TRY(Journal journal, Journal::open(state_folder, kJournalBusyTimeout));
    SANCTUM_TRY(const ReaperKey reaper, ReaperKey::open(state_folder));
    seal_ = reaper.seal();
    journal_ = std::make_unique<Journal>(std::move(journal));
    SANCTUM_TRY(lock_, lock_file(vault_lock_path(state_folder, start_.mission.id), Wait::No));
    SANCTUM_CHECK(
        journal_->add_mission({start_.mission.id, clock_.wall().unix_ms, start_.message.ends_unix_ms, false,
                               start_.mission.parent}));
    SANCTUM_CHECK(confine_vault(state_folder, sources.paths, sources.replaces_items));
    // From here on this process reaches its sockets and the state folder, and nothing else.
    leases_ = std::make_unique<Leases>(
        start_.mission, MissionEnd{{start_.message.ends_boot_ms}, {start_.message.ends_unix_ms}},
        std::move(sources.accounts), *journal_, seal_, clock_, *this);
    interceptor_ = wire::Channel(std::move(start_.interceptor));
    return launcher_.send(wire::VaultReady{std::move(services)});
}

void Vault::serve() {
    loop_.watch(launcher_.fd(), [this] { take_from_launcher(); });
    loop_.watch(interceptor_.fd(), [this] { take_from_interceptor(); });
    while (!leases_->is_settled()) {
        if (Status waited = loop_.wait(clock_, next_tick()); !waited) break_off(waited.error());
        // Here and not where a peer is found gone: that may be deep inside a function of Leases.
        if (must_end_) leases_->end_mission();
        if (providers_) providers_->tick();
        leases_->tick();
    }
}

std::optional<BootTime> Vault::next_tick() const {
    const std::optional<BootTime> leases = leases_->next_tick();
    const std::optional<BootTime> providers = providers_ ? providers_->next_tick() : std::nullopt;
    if (!leases || !providers) return leases ? leases : providers;
    return std::min(*leases, *providers);
}

void Vault::take_from_launcher() {
    while (launcher_.is_open()) {
        Result<std::optional<wire::Packet>> packet = launcher_.receive();
        if (!packet) return packet.error().code == Errc::Protocol ? break_off(packet.error()) : lose_launcher();
        if (!*packet) return;
        if (Status obeyed = obey(**packet); !obeyed) return break_off(obeyed.error());
    }
}

Status Vault::obey(const wire::Packet& packet) {
    if (!packet.descriptors.empty()) return Error{Errc::Protocol, "the launcher sent descriptors nobody asked for"};
    if (packet.kind == wire::Kind::Approved) {
        SANCTUM_TRY(const wire::Approved approved, packet.as<wire::Approved>());
        return leases_->approve(approved);
    }
    if (packet.kind == wire::Kind::RevokeService) {
        SANCTUM_TRY(const wire::RevokeService revoked, packet.as<wire::RevokeService>());
        return leases_->revoke_service(revoked.service);
    }
    SANCTUM_TRY(const wire::Retire retire, packet.as<wire::Retire>());
    static_cast<void>(retire);
    take_from_interceptor();  // the last uses, which it has told before it stopped
    was_told_to_retire_ = true;
    leases_->end_mission();
    return {};
}

void Vault::take_from_interceptor() {
    while (interceptor_.is_open()) {
        Result<std::optional<wire::Packet>> packet = interceptor_.receive();
        if (!packet) return packet.error().code == Errc::Protocol ? break_off(packet.error()) : lose_interceptor();
        if (!*packet) return;
        if (Status answered = answer(**packet); !answered) return break_off(answered.error());
    }
}

Status Vault::answer(const wire::Packet& packet) {
    // SECURITY: the interceptor parses hostile bytes. It may say three things; none brings secrets or descriptors.
    if (!packet.descriptors.empty() || !packet.secret.is_empty()) {
        return Error{Errc::Protocol, "the interceptor sent what it must not have"};
    }
    if (packet.kind == wire::Kind::LeaseNeed) {
        SANCTUM_TRY(const wire::LeaseNeed need, packet.as<wire::LeaseNeed>());
        leases_->need(need);
        return {};
    }
    if (packet.kind == wire::Kind::LoginNeed) {
        SANCTUM_TRY(const wire::LoginNeed need, packet.as<wire::LoginNeed>());
        leases_->login(need);
        return {};
    }
    SANCTUM_TRY(const wire::LeaseUsed use, packet.as<wire::LeaseUsed>());
    return leases_->used(use);
}

// A peer that breaks the rules: nothing more is handed out, everything is given back, then the launcher hears why.
void Vault::break_off(const Error& error) {
    log::error(error.what);
    if (!broken_) broken_ = error;
    lose_interceptor();
}

// The launcher's end is the mission's end; retiring needs nobody but us.
void Vault::lose_launcher() {
    if (launcher_.is_open()) loop_.forget(launcher_.fd());
    launcher_.close();
    // Whoever waits for our standard error to close is not kept waiting by what is left to do.
    if (null_) ::dup2(null_.get(), STDERR_FILENO);
    must_end_ = true;
}

// Nobody is left who could inject; what is held goes back, the mission's end is the launcher's to decide.
void Vault::lose_interceptor() {
    if (interceptor_.is_open()) loop_.forget(interceptor_.fd());
    interceptor_.close();
    must_end_ = true;
}

int Vault::leave() {
    // The interceptor may be gone while the mission still runs down: the launcher's `retire` is waited for.
    while (launcher_.is_open() && !was_told_to_retire_ && !broken_) {
        if (!loop_.wait(clock_, std::nullopt)) break;
    }
    if (broken_) to_launcher(wire::Failed{broken_->what, "internal"});
    else to_launcher(leases_->counts());
    return broken_ ? 1 : 0;
}

}  // namespace

int run_mission(int mission_fd) {
    outlive_signals();
    ::fcntl(mission_fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(mission_fd, F_SETFL, O_NONBLOCK);
    const char* level = std::getenv("SANCTUM_LOG");
    const std::string wanted = level == nullptr ? "error" : level;
    log::open("sanctum-vault", wanted == "debug"  ? log::Level::Debug
                               : wanted == "info" ? log::Level::Info
                                                  : log::Level::Error);
    return Vault(UniqueFd(mission_fd)).run();
}

}  // namespace sanctum::vault
