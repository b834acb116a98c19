// SPDX-License-Identifier: Apache-2.0
#include "vault/reaper.hpp"

#include "base/limits.hpp"
#include "base/mission_id.hpp"
#include "vault/mission_lock.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

enum class Ledger { Missing, Open, Sealed };

Ledger ledger_of(const std::string& state_folder, const std::string& mission) {
    const std::string folder = state_folder + "/missions/" + mission;
    if (::access((folder + "/receipt.json").c_str(), F_OK) == 0) return Ledger::Sealed;
    return ::access((folder + "/ledger.jsonl").c_str(), F_OK) == 0 ? Ledger::Open : Ledger::Missing;
}

void end_by(LeaseRow& row, LeaseEvent event, const std::string& detail) {
    advance(row.state, event);
    row.detail = detail;
    if (row.state != LeaseState::Parked) row.retirement.clear();  // nobody has to send it any more
    if (may_be_alive(row.state)) row.expires_unix_ms = end_of_life(row);
}

// A credential whose vault died before it was given back, or could not give it back: true when all was done that there
// is to do.
bool return_lease(LeaseRow& row, const GiveBack& give_back) {
    const bool is_out = row.state == LeaseState::Held || row.state == LeaseState::Retiring ||
                        row.state == LeaseState::Parked;
    if (!is_out || row.retirement.empty()) return false;
    const RetireOutcome outcome = give_back(row);
    if (outcome.end == RetireOutcome::End::NotYet) return false;
    row.retirement.clear();
    const bool is_gone = outcome.end == RetireOutcome::End::Gone;
    // What came beside it is not given back with it, and stays on record.
    const std::string known = row.detail.empty() ? std::string() : "; " + row.detail;
    end_by(row, is_gone ? LeaseEvent::GivenBack : LeaseEvent::StaysAlive,
           "the vault ended; " + outcome.detail + " by the reaper" + known);
    return true;
}

// A mission whose lock we hold: ends what is open, tells what the ledger may not have, and settles it when nothing
// is left to wait for.
Status reap_mission(Journal& journal, const std::string& state_folder, const MissionRow& mission, const Clock& clock,
                    const GiveBack& give_back, const std::function<void(const LeaseRow&)>& on_end,
                    ReapReport& report) {
    SANCTUM_TRY(std::vector<LeaseRow> leases, journal.leases_of(mission.mission));
    std::vector<LeaseRow> changed;
    for (LeaseRow& lease : leases) {
        const bool was_given_back = return_lease(lease, give_back);
        if (was_given_back || end_dead_lease(lease, clock.wall())) changed.push_back(lease);
    }
    if (!changed.empty()) {
        SANCTUM_CHECK(journal.update_leases(changed, Journal::Durable::Now));
    }
    report.finished += changed.size();

    const Ledger ledger = ledger_of(state_folder, mission.mission);
    bool is_waiting = false;
    for (const LeaseRow& lease : leases) {
        if (ledger != Ledger::Sealed && is_end(lease.state)) on_end(lease);
        if (may_be_alive(lease.state)) {
            ++report.waiting;
            is_waiting = true;
        }
    }
    if (is_waiting || ledger == Ledger::Open) return {};
    SANCTUM_CHECK(journal.settle_mission(mission.mission));
    ::unlink(vault_lock_path(state_folder, mission.mission).c_str());
    return {};
}

// True while a vault holds the mission's lock; looks only, so that a reaper beside us is not held up.
bool is_locked(const std::string& state_folder, const std::string& mission) {
    const UniqueFd fd(::open(vault_lock_path(state_folder, mission).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0;
}

}  // namespace

bool end_dead_lease(LeaseRow& row, WallTime now) {
    // Nobody is left who knew by the boot-time clock, and the wall clock may be wrong: what can be given back is not
    // given up at once.
    const bool is_tried = !row.retirement.empty() && row.state != LeaseState::Orphaned;
    const Milliseconds longer = is_tried ? Milliseconds(kGiveBackAfterEnd) : Milliseconds(0);
    const bool is_past = row.alive_until_unix_ms != 0 && now.unix_ms >= row.alive_until_unix_ms + longer.count();
    switch (row.state) {
        case LeaseState::Gone:
        case LeaseState::Expired:
        case LeaseState::Failed: return false;
        case LeaseState::Parked:
        case LeaseState::Orphaned:
            if (!is_past) return false;
            end_by(row, LeaseEvent::TimePassed, "its longest possible life is over");
            return true;
        case LeaseState::Wanted:
            if (!row.mints) end_by(row, LeaseEvent::NothingMade, "never fetched: the vault ended first");
            else if (is_past) end_by(row, LeaseEvent::TimePassed, "its longest possible life is over");
            else end_by(row, LeaseEvent::AnswerLost, "the vault ended before the source's answer");
            return true;
        case LeaseState::Held:
        case LeaseState::Retiring: break;
    }
    const std::string lacking = row.detail.empty() ? std::string() : "; " + row.detail;
    if (row.retire == RetireClass::None) {
        end_by(row, LeaseEvent::GivenBack, "the vault ended and our copy with it; the credential itself stays valid");
    } else if (is_past) {
        end_by(row, LeaseEvent::TimePassed, "its time passed after the vault ended");
    } else {
        const std::string told = row.alive_until_unix_ms != 0 ? "the credential is alive until it expires"
                                                               : "the credential may be alive; its end is not known";
        end_by(row, LeaseEvent::StaysAlive, "the vault ended; " + told + lacking);
    }
    return true;
}

Result<ReapReport> reap(const std::string& state_folder, const std::string& only, const Clock& clock,
                        const GiveBack& give_back, const std::function<void(const LeaseRow&)>& on_end) {
    if (!only.empty() && !is_ulid(only)) return Error{Errc::InvalidProfile, "`" + only + "` is not a mission id"};
    ReapReport report;
    if (::access(Journal::path_in(state_folder).c_str(), F_OK) != 0) return report;  // no vault ever ran here
    SANCTUM_TRY(Journal journal, Journal::open(state_folder, kJournalBusyTimeout));
    // All of them, page by page: missions whose credentials nobody can take back stay unsettled for hours, and must not
    // hide the later ones.
    SANCTUM_TRY(std::vector<MissionRow> missions, journal.unsettled_missions(only, kReapMissionsMax));
    while (!missions.empty()) {
        for (const MissionRow& mission : missions) {
            Result<UniqueFd> lock = lock_file(vault_lock_path(state_folder, mission.mission), Wait::No);
            if (!lock && lock.error().code == Errc::Timeout) {
                ++report.alive;
                continue;
            }
            if (!lock) return std::move(lock).error();
            SANCTUM_CHECK(reap_mission(journal, state_folder, mission, clock, give_back, on_end, report));
        }
        const MissionRow last = missions.back();
        SANCTUM_TRY(missions, journal.unsettled_missions(only, kReapMissionsMax, &last));
    }
    const WallTime oldest{clock.wall().unix_ms - Milliseconds(kJournalKeep).count()};
    SANCTUM_CHECK(journal.forget_settled(oldest));
    return report;
}

Result<LeaseRow> forget_lease(const std::string& state_folder, const std::string& mission, const std::string& lease) {
    if (!is_ulid(mission)) return Error{Errc::InvalidProfile, "`" + mission + "` is not a mission id"};
    const std::string name = mission + "/" + lease;
    const Error missing{Errc::NotFound, name + " is not on record (see `sanctum leases`)"};
    if (::access(Journal::path_in(state_folder).c_str(), F_OK) != 0) return missing;
    SANCTUM_TRY(Journal journal, Journal::open(state_folder, kJournalBusyTimeout));
    SANCTUM_TRY(const std::vector<MissionRow> missions, journal.unsettled_missions(mission, 1));
    if (missions.empty()) return missing;
    Result<UniqueFd> lock = lock_file(vault_lock_path(state_folder, mission), Wait::No);
    if (!lock && lock.error().code == Errc::Timeout) {
        return Error{Errc::Denied, name + ": its mission runs (`sanctum revoke " + mission + "` ends it)"};
    }
    if (!lock) return std::move(lock).error();
    SANCTUM_TRY(std::vector<LeaseRow> leases, journal.leases_of(mission));
    const auto found =
        std::find_if(leases.begin(), leases.end(), [&](const LeaseRow& row) { return row.lease == lease; });
    if (found == leases.end()) return missing;
    // What the record of the mission has to say is the vault's and the reaper's word, not the operator's.
    if (ledger_of(state_folder, mission) == Ledger::Open) {
        return Error{Errc::Denied, name + ": its mission's record is not sealed (run `sanctum reap` first)"};
    }
    if (!may_be_alive(found->state)) {
        return Error{Errc::Denied, name + " is " + std::string(name_of(found->state)) + ": there is nothing to forget"};
    }
    end_by(*found, LeaseEvent::TimePassed, "forgotten by the operator, who says that it is over; " + found->detail);
    SANCTUM_CHECK(journal.update_leases({*found}, Journal::Durable::Now));
    return std::move(*found);
}

Result<std::vector<std::string>> unfinished_missions(const std::string& state_folder, const Clock& clock) {
    std::vector<std::string> unfinished;
    if (::access(Journal::path_in(state_folder).c_str(), F_OK) != 0) return unfinished;
    SANCTUM_TRY(Journal journal, Journal::open(state_folder, kJournalBusyTimeout));
    SANCTUM_TRY(const std::vector<MissionRow> missions, journal.unsettled_missions("", kUnfinishedMissionsMax));
    if (missions.size() == kUnfinishedMissionsMax) {
        return Error{Errc::Limit,
                     "too many unsettled missions in " + Journal::path_in(state_folder) + " (run `sanctum reap`)"};
    }
    for (const MissionRow& mission : missions) {
        SANCTUM_TRY(std::vector<LeaseRow> leases, journal.leases_of(mission.mission));
        const bool is_open = std::any_of(leases.begin(), leases.end(), [&](LeaseRow& lease) {
            static_cast<void>(end_dead_lease(lease, clock.wall()));
            return may_be_alive(lease.state);
        });
        if (is_open || is_locked(state_folder, mission.mission)) unfinished.push_back(mission.mission);
    }
    return unfinished;
}

}  // namespace sanctum::vault
