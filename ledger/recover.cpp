// SPDX-License-Identifier: Apache-2.0
#include "ledger/recover.hpp"

#include "ledger/seal.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <unistd.h>

namespace sanctum::ledger {
namespace {

// A lease whose end neither the ledger nor the vault's journal knows. When it was held, the record named the lease's
// end: the credential's may be later.
wire::LeaseChanged end_of_unknown(wire::LeaseChanged lease) {
    lease.state = "orphaned";
    lease.expires_unix_ms = 0;
    lease.detail = "the launcher and the vault ended without saying how it ended";
    return lease;
}

void count_end(MissionEnded& ended, const std::string& state) {
    if (state == "gone") ++ended.gone;
    else if (state == "expired") ++ended.expired;
    else if (state == "parked") ++ended.parked;
    else ++ended.orphaned;
}

std::uint64_t add_lease_ends(ChainFile& chain, const std::vector<wire::LeaseChanged>& from_vault, WallTime now) {
    std::set<std::string> with_end;
    const Receipt so_far = chain.receipt().build();
    for (const ReceiptLease& lease : so_far.leases) {
        if (lease.state != "held") with_end.insert(lease.lease);
    }
    std::uint64_t added = 0;
    const auto add = [&](const wire::LeaseChanged& lease) {
        if (!with_end.insert(lease.lease).second) return;
        LineRecord record = lease;
        bound_record(record);
        chain.add(now, record);
        ++added;
    };
    for (const wire::LeaseChanged& lease : from_vault) {
        if (lease.state != "held") add(lease);
    }
    for (const wire::LeaseChanged& lease : chain.receipt().open_leases()) add(end_of_unknown(lease));
    return added;
}

// Every intent gets its outcome: what was sent and how it ended, nobody is left to say.
std::uint64_t add_unknown_outcomes(ChainFile& chain, WallTime now) {
    const std::vector<std::uint64_t> open = chain.receipt().open_exchanges();
    for (const std::uint64_t exchange : open) {
        wire::ExchangeOutcome outcome;
        outcome.exchange = exchange;
        outcome.outcome = "unknown";
        chain.add(now, outcome);
    }
    return open.size();
}

// The launcher died between making the folder and making the ledger. With a receipt it is a ledger that was taken away.
bool is_without_ledger(const std::string& folder) {
    const auto is_absent = [&](const char* name) {
        return ::access((folder + name).c_str(), F_OK) != 0 && errno == ENOENT;
    };
    return ::access(folder.c_str(), F_OK) == 0 && is_absent("/ledger.jsonl") && is_absent("/receipt.json");
}

}  // namespace

Status remove_unrecorded(const std::string& mission_folder) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(mission_folder, error)) {
        const std::string name = entry.path().filename().string();
        const bool is_ours = name == "ledger.jsonl" || name == "reserve" || name.starts_with("mission.json");
        if (is_ours) ::unlink(entry.path().c_str());
    }
    // A reaper beside us may have been faster.
    const bool is_gone = ::unlinkat(AT_FDCWD, mission_folder.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
    return is_gone ? Status() : io_error("remove " + mission_folder);
}

Result<Recovery> recover(const std::string& mission_folder, const std::string& mission_id,
                         const std::vector<wire::LeaseChanged>& lease_ends, const std::string& receipts_path,
                         std::shared_ptr<const SigningKey> key, const Clock& clock) {
    Recovery out;
    Result<ChainFile> resumed = ChainFile::resume(mission_folder, mission_id, std::move(key));
    if (!resumed && resumed.error().code == Errc::Cancelled) return out;
    if (!resumed && is_without_ledger(mission_folder)) {
        SANCTUM_CHECK(remove_unrecorded(mission_folder));
        out.kind = Recovery::Kind::Removed;
        return out;
    }
    if (!resumed) return std::move(resumed).error();
    ChainFile& chain = *resumed;
    out.repaired = chain.repaired();
    if (chain.records() == 0) {
        SANCTUM_CHECK(remove_unrecorded(mission_folder));
        out.kind = Recovery::Kind::Removed;
        return out;
    }
    const bool has_receipt = ::access((mission_folder + "/receipt.json").c_str(), F_OK) == 0;
    if (chain.is_ended() && chain.is_signed() && has_receipt) {
        out.kind = Recovery::Kind::Complete;
        chain.release_reserve();
        return out;
    }
    MissionEnded ended{"lost", 0, 0, 0, 0, 0, {}, 0, 0};
    if (!chain.is_ended()) {
        out.unknown = add_unknown_outcomes(chain, clock.wall());
        out.lease_ends = add_lease_ends(chain, lease_ends, clock.wall());
        const Receipt receipt = chain.receipt().build();
        for (const ReceiptLease& lease : receipt.leases) count_end(ended, lease.state);
    }
    SANCTUM_TRY(out.sealed, seal_chain(chain, std::move(ended), receipts_path, Published::Perhaps, clock));
    out.kind = Recovery::Kind::Recovered;
    return out;
}

}  // namespace sanctum::ledger
