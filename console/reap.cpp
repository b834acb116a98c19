// SPDX-License-Identifier: Apache-2.0
// `sanctum reap`: goes on where dead missions stopped: credentials first (sanctum-vault reap), then ledgers and
// receipts, then control sockets that nobody listens on. Doing it twice changes nothing.
#include "base/limits.hpp"
#include "base/wire/archive.hpp"
#include "base/wire/messages.hpp"
#include "console/commands.hpp"
#include "console/control_client.hpp"
#include "console/missions.hpp"
#include "console/run_program.hpp"
#include "ledger/printable.hpp"
#include "ledger/recover.hpp"

#include <fcntl.h>
#include <filesystem>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

namespace sanctum::console {
namespace {

using ledger::printable;
using LeaseEnds = std::map<std::string, std::vector<wire::LeaseChanged>>;

struct ReapedLease {
    std::string mission;
    wire::LeaseChanged lease;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("mission", self.mission);
        wire::LeaseChanged::fields(self.lease, archive);
    }
};

Result<LeaseEnds> reap_leases(const Console& console, bool is_background) {
    const ErrorStream errors = is_background ? ErrorStream::Discarded : ErrorStream::Inherited;
    const std::string program = console.places.vault();
    SANCTUM_TRY(const ProgramEnd end, run_program(program, {"reap", "--json"}, errors, kReapOutputBytesMax));
    LeaseEnds ends;
    std::istringstream lines(end.output);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) continue;
        SANCTUM_TRY(ReapedLease reaped, wire::from_json<ReapedLease>(line));
        ends[reaped.mission].push_back(std::move(reaped.lease));
    }
    if (end.code != 0) return Error{Errc::Io, "sanctum-vault reap ended with code " + std::to_string(end.code)};
    return ends;
}

// A vault that outlived its launcher is giving credentials back right now; its mission is finished at the next reap.
bool has_living_vault(const Places& places, const std::string& id) {
    const UniqueFd fd(::open((places.state + "/vault-locks/" + id).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0;
}

struct ReapRow {
    std::string mission;
    std::string action;  // recovered, removed, waiting, broken, failed, socket-removed, would-recover
    std::string words;
    std::uint64_t lease_ends = 0;
    std::uint64_t repaired = 0;
    std::uint64_t unknown = 0;
};

void print(Console& console, const ReapRow& row, const ReapOptions& options) {
    if (options.is_background) return;
    if (options.format == Format::Words) {
        const std::string words = row.words.empty() ? "" : ": " + printable(row.words);
        console.out << row.mission << " " << row.action << words << "\n";
        return;
    }
    wire::JsonWriter json;
    json("schema", std::string("sanctum.reap/1"));
    json("mission", row.mission);
    json("action", row.action);
    json("words", row.words);
    json("lease_ends", row.lease_ends);
    json("repaired", row.repaired);
    json("unknown_outcomes", row.unknown);
    console.out << json.take() << "\n";
}

std::string words_of(const ledger::Recovery& recovery) {
    std::string out = "ledger sealed";
    if (recovery.lease_ends > 0) out += ", " + std::to_string(recovery.lease_ends) + " lease end(s) recorded";
    if (recovery.repaired > 0) out += ", an unfinished line cut";
    if (recovery.unknown > 0) out += ", " + std::to_string(recovery.unknown) + " request(s) with unknown outcome";
    return out;
}

// Nothing to do gives no row.
std::optional<ReapRow> recover_one(const Console& console, const std::string& id, const LeaseEnds& ends,
                               const std::shared_ptr<const ledger::SigningKey>& key) {
    const auto own = ends.find(id);
    static const std::vector<wire::LeaseChanged> kNone;
    const Result<ledger::Recovery> recovery =
        ledger::recover(console.places.mission(id), id, own == ends.end() ? kNone : own->second,
                        console.places.receipts(), key, console.clock);
    // A reaper beside us has removed it, for nothing had been recorded.
    if (!recovery && ::access(console.places.mission(id).c_str(), F_OK) != 0) return std::nullopt;
    if (!recovery) {
        const bool is_broken = recovery.error().code == Errc::Protocol;
        return ReapRow{id, is_broken ? "broken" : "failed", recovery.error().what, 0, 0, 0};
    }
    if (recovery->kind == ledger::Recovery::Kind::Removed) {
        return ReapRow{id, "removed", "nothing had been recorded, so nothing had run", 0, 0, 0};
    }
    if (recovery->kind != ledger::Recovery::Kind::Recovered) return std::nullopt;
    return ReapRow{id, "recovered", words_of(*recovery), recovery->lease_ends, recovery->repaired, recovery->unknown};
}

void remove_stale_sockets(Console& console, const ReapOptions& options) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(console.places.runtime, error)) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(".sock")) continue;
        const std::string id = name.substr(0, name.size() - 5);
        if (is_mission_alive(console.places, id)) continue;
        const Result<ControlClient> client = ControlClient::connect(entry.path().string());
        if (client || client.error().code != Errc::Cancelled) continue;
        if (!options.is_dry && ::unlink(entry.path().c_str()) != 0) continue;
        print(console, {id, options.is_dry ? "would-remove-socket" : "socket-removed", "", 0, 0, 0}, options);
    }
}

bool is_finished(const Places& places, const std::string& id) {
    return ::access((places.mission(id) + "/receipt.json").c_str(), F_OK) == 0;
}

// Detached-safe: no terminal, no output, no signal of a session that ends.
void go_to_background() {
    ::setsid();
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

// Dead, not finished, and without a vault of their own that still works. Listed before the vault is asked: what dies
// later is finished at the next reap, with the vault's word about its leases.
std::vector<std::string> dead_missions(Console& console, const std::vector<std::string>& ids,
                                       const ReapOptions& options) {
    std::vector<std::string> dead;
    for (const std::string& id : ids) {
        if (is_finished(console.places, id) || is_mission_alive(console.places, id)) continue;
        if (has_living_vault(console.places, id)) {
            print(console, {id, "waiting", "its vault is still giving credentials back", 0, 0, 0}, options);
        } else {
            dead.push_back(id);
        }
    }
    return dead;
}

Exit recover_all(Console& console, const std::vector<std::string>& dead, const LeaseEnds& ends,
                 const ReapOptions& options) {
    if (dead.empty()) return Exit::Ok;
    const Places& places = console.places;
    Result<ledger::SigningKey> loaded = ledger::SigningKey::load_or_create(
        places.ledger_key(), places.ledger_public_key(), places.receipts());
    if (!loaded) return fail(console, loaded.error());
    const auto key = std::make_shared<const ledger::SigningKey>(std::move(*loaded));
    Exit worst = Exit::Ok;
    for (const std::string& id : dead) {
        const std::optional<ReapRow> row = recover_one(console, id, ends, key);
        if (!row) continue;
        print(console, *row, options);
        if (row->action == "broken") worst = Exit::Finding;
        if (row->action == "failed") worst = Exit::Failed;
    }
    return worst;
}

Exit forget(Console& console, const std::string& lease) {
    const Result<ProgramEnd> end =
        run_program(console.places.vault(), {"reap", "--forget", lease, "--state", console.places.state},
                    ErrorStream::Inherited, kReapOutputBytesMax);
    if (!end) return fail(console, end.error().what, Exit::Unreachable);
    console.out << end->output;
    if (end->code == static_cast<int>(Exit::Usage)) return Exit::Usage;
    return end->code == 0 ? Exit::Ok : Exit::Failed;
}

}  // namespace

Exit run_reap(Console& console, const ReapOptions& options) {
    if (!options.forgotten.empty()) return forget(console, options.forgotten);
    if (options.is_background) go_to_background();
    const Result<std::vector<std::string>> ids = list_missions(console.places);
    if (!ids) return fail(console, ids.error());
    const std::vector<std::string> dead = dead_missions(console, *ids, options);
    if (options.is_dry) {
        for (const std::string& id : dead) print(console, {id, "would-recover", "", 0, 0, 0}, options);
        remove_stale_sockets(console, options);
        return Exit::Ok;
    }
    const Result<LeaseEnds> ends = reap_leases(console, options.is_background);
    // FAIL-CLOSED: without the vault's word no ledger may say how a lease ended.
    if (!ends) return fail(console, ends.error().what, Exit::Unreachable);
    const Exit code = recover_all(console, dead, *ends, options);
    remove_stale_sockets(console, options);
    return code;
}

}  // namespace sanctum::console
