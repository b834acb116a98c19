// SPDX-License-Identifier: Apache-2.0
// Journal: what leases exist and how far they are, in SQLite (state.db), so that a crash forgets nothing.
//
// A lease is written three times before anybody could lose it: its intent before the source is asked, its handle
// before the credential is used, its end. In the clear no secret is in it. One row per lease, keyed by our
// own correlation id. Several missions write the same file; each touches its own rows.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/wire/messages.hpp"
#include "vault/lease_states.hpp"
#include "vault/sources/source.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;

namespace sanctum::vault {

/// One lease as the journal keeps it.
struct LeaseRow {
    std::string correlation;  ///< ULID, ours; names the lease at the source where its protocol can
    std::string mission;
    std::string lease;        ///< `l1`, counted per mission
    std::string service;
    std::string account;
    std::string source;       ///< the account's `source`
    LeaseState state = LeaseState::Wanted;
    std::vector<std::string> asked;
    std::optional<std::vector<std::string>> received;
    NarrowedBy narrowed_by = NarrowedBy::Proxy;
    RetireClass retire = RetireClass::None;
    std::string risk;
    std::string approval;
    std::string handle;       ///< what retiring needs besides the secret; no secret
    std::string retirement;   ///< what a reaper can send to give it back, sealed; empty: nothing, or no longer needed
    std::string thumbprint;   ///< hex SHA-256 of the credential; empty until held
    std::string detail;
    bool mints = false;       ///< the source may have made something outside
    std::int64_t wanted_unix_ms = 0;
    std::int64_t expires_unix_ms = 0;  ///< of the lease
    std::int64_t alive_until_unix_ms = 0;  ///< the longest that the credential itself can live; 0: no end known
    std::uint64_t handed_out = 0;      ///< times it was given to the interceptor
    std::uint64_t uses = 0;
    std::int64_t first_used_unix_ms = 0;
    std::int64_t last_used_unix_ms = 0;
};

/// When a credential that nobody took back is over at the latest; 0: nobody knows. Never earlier than its lease.
[[nodiscard]] std::int64_t end_of_life(const LeaseRow& row);

/// The record that launcher and ledger see.
[[nodiscard]] wire::LeaseChanged to_record(const LeaseRow& row);

struct MissionRow {
    std::string mission;
    std::int64_t started_unix_ms = 0;
    std::int64_t ends_unix_ms = 0;
    bool is_settled = false;  ///< every lease has its end and the ledger has it
    std::string parent{};     ///< the mission whose agent started it; empty: a person did, or it is not known
};

/// An open journal. Move-only, single thread.
class Journal {
public:
    /// The file of a state folder's journal; where it is absent no vault ever ran.
    [[nodiscard]] static std::string path_in(const std::string& state_folder) { return state_folder + "/state.db"; }
    /// Opens or makes that file (0600). Errors: Unsupported (newer version), Protocol (damaged: nothing
    /// is changed), Timeout (another process holds it), Io. All name the file.
    [[nodiscard]] static Result<Journal> open(const std::string& state_folder,
                                              std::chrono::milliseconds busy_timeout);
    Journal(Journal&&) noexcept;
    Journal& operator=(Journal&&) noexcept;
    ~Journal();

    /// When a change must be safe from power loss: before the call returns, or with the next one that is Now. A crash
    /// of this process loses neither.
    enum class Durable { Now, Later };

    /// Errors of all below: Timeout, Limit (disk full), Io.
    [[nodiscard]] Status add_mission(const MissionRow& mission);
    [[nodiscard]] Status settle_mission(const std::string& mission);
    [[nodiscard]] Status add_lease(const LeaseRow& lease, Durable durable);
    /// Replaces everything but the key, for all rows in one transaction. Errors too: NotFound.
    [[nodiscard]] Status update_leases(const std::vector<LeaseRow>& leases, Durable durable);

    [[nodiscard]] Result<std::vector<LeaseRow>> leases_of(const std::string& mission);
    /// Missions that are not settled, oldest first, at most `count`; with `only` that one, if it is among them; those
    /// behind `after` where it is given.
    [[nodiscard]] Result<std::vector<MissionRow>> unsettled_missions(std::string_view only, std::size_t count,
                                                                     const MissionRow* after = nullptr);
    /// Every mission that the journal knows, oldest first. Errors: as above.
    [[nodiscard]] Result<std::vector<MissionRow>> missions();
    /// Forgets settled missions that started before `before`.
    [[nodiscard]] Status forget_settled(WallTime before);

private:
    struct Close {
        void operator()(sqlite3* database) const;
    };
    Journal(std::unique_ptr<sqlite3, Close> database, std::string path);
    [[nodiscard]] Status set_durability(Durable durable);
    std::unique_ptr<sqlite3, Close> database_;
    std::string path_;
    Durable durability_ = Durable::Now;
};

}  // namespace sanctum::vault
