// SPDX-License-Identifier: Apache-2.0
#include "vault/journal.hpp"

#include "base/files.hpp"
#include "vault/mission_lock.hpp"
#include "vault/sqlite.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <limits>
#include <sqlite3.h>

namespace sanctum::vault {
namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE missions (
    mission TEXT PRIMARY KEY,
    started_unix_ms INTEGER NOT NULL,
    ends_unix_ms INTEGER NOT NULL,
    settled INTEGER NOT NULL
) STRICT;
CREATE TABLE leases (
    correlation TEXT PRIMARY KEY,
    mission TEXT NOT NULL REFERENCES missions (mission) ON DELETE CASCADE,
    lease TEXT NOT NULL,
    service TEXT NOT NULL,
    account TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    asked TEXT NOT NULL,
    received TEXT,
    narrowed_by TEXT NOT NULL,
    retire TEXT NOT NULL,
    risk TEXT NOT NULL,
    approval TEXT NOT NULL,
    handle TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    detail TEXT NOT NULL,
    mints INTEGER NOT NULL,
    wanted_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    alive_until_unix_ms INTEGER NOT NULL,
    handed_out INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    first_used_unix_ms INTEGER NOT NULL,
    last_used_unix_ms INTEGER NOT NULL,
    UNIQUE (mission, lease)
) STRICT;
PRAGMA user_version = 1;
)sql";

// Every start asks for what is unsettled, among months of what is settled.
constexpr const char* kIndexOfUnsettled = R"sql(
CREATE INDEX unsettled_missions ON missions (started_unix_ms, mission) WHERE settled = 0;
PRAGMA user_version = 2;
)sql";

// What gives a credential back when its vault is gone, sealed to the reaper's key.
constexpr const char* kRetirement = R"sql(
ALTER TABLE leases ADD COLUMN retirement TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 3;
)sql";

// Whose agent started a mission, so that its leases are shown below that one's.
constexpr const char* kParents = R"sql(
ALTER TABLE missions ADD COLUMN parent TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 4;
)sql";

// Each leads from one version of the tables to the next, from 0, an empty file. A released step is never changed.
constexpr std::array<const char*, 4> kSteps = {kTables, kIndexOfUnsettled, kRetirement, kParents};
constexpr auto kSchemaVersion = static_cast<std::int64_t>(kSteps.size());

constexpr const char* kInsertLease =
    "INSERT INTO leases (lease, service, account, source, state, asked, received, narrowed_by, retire, risk, approval, "
    "handle, thumbprint, detail, mints, wanted_unix_ms, expires_unix_ms, alive_until_unix_ms, handed_out, uses, "
    "first_used_unix_ms, last_used_unix_ms, retirement, correlation, mission) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
constexpr const char* kUpdateLease =
    "UPDATE leases SET lease=?, service=?, account=?, source=?, state=?, asked=?, received=?, narrowed_by=?, retire=?, "
    "risk=?, approval=?, handle=?, thumbprint=?, detail=?, mints=?, wanted_unix_ms=?, expires_unix_ms=?, "
    "alive_until_unix_ms=?, handed_out=?, uses=?, first_used_unix_ms=?, last_used_unix_ms=?, retirement=? "
    "WHERE correlation=? AND mission=?";
constexpr const char* kSelectLeases =
    "SELECT lease, service, account, source, state, asked, received, narrowed_by, retire, risk, approval, handle, "
    "thumbprint, detail, mints, wanted_unix_ms, expires_unix_ms, alive_until_unix_ms, handed_out, uses, "
    "first_used_unix_ms, last_used_unix_ms, retirement, correlation, mission FROM leases WHERE mission=? "
    "ORDER BY wanted_unix_ms, correlation";

std::string scopes_to_text(const std::vector<std::string>& scopes) {
    std::string out;
    for (const std::string& scope : scopes) out += scope + "\n";
    return out;
}

std::vector<std::string> scopes_from_text(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return out;
}

void bind_lease(Statement& statement, const LeaseRow& row) {
    statement.bind(row.lease).bind(row.service).bind(row.account).bind(row.source).bind(name_of(row.state));
    statement.bind(scopes_to_text(row.asked));
    if (row.received) statement.bind(scopes_to_text(*row.received));
    else statement.bind_null();
    statement.bind(name_of(row.narrowed_by)).bind(name_of(row.retire)).bind(row.risk).bind(row.approval);
    statement.bind(row.handle).bind(row.thumbprint).bind(row.detail).bind(std::int64_t{row.mints});
    statement.bind(row.wanted_unix_ms).bind(row.expires_unix_ms).bind(row.alive_until_unix_ms);
    statement.bind(static_cast<std::int64_t>(row.handed_out)).bind(static_cast<std::int64_t>(row.uses));
    statement.bind(row.first_used_unix_ms).bind(row.last_used_unix_ms).bind(row.retirement);
    statement.bind(row.correlation).bind(row.mission);
}

Result<LeaseRow> read_lease(const Statement& statement, const std::string& path) {
    LeaseRow row;
    int column = 0;
    for (std::string* field : {&row.lease, &row.service, &row.account, &row.source}) *field = statement.text(column++);
    const bool is_state = parse_name(statement.text(column++), row.state);
    row.asked = scopes_from_text(statement.text(column++));
    if (!statement.is_null(column)) row.received = scopes_from_text(statement.text(column));
    ++column;
    const bool is_narrowed = parse_name(statement.text(column++), row.narrowed_by);
    const bool is_retire = parse_name(statement.text(column++), row.retire);
    if (!is_state || !is_narrowed || !is_retire) {
        return Error{Errc::Protocol, path + ": a lease in a state that this Sanctum does not know"};
    }
    for (std::string* field : {&row.risk, &row.approval, &row.handle, &row.thumbprint, &row.detail}) {
        *field = statement.text(column++);
    }
    row.mints = statement.number(column++) != 0;
    for (std::int64_t* field : {&row.wanted_unix_ms, &row.expires_unix_ms, &row.alive_until_unix_ms}) {
        *field = statement.number(column++);
    }
    row.handed_out = static_cast<std::uint64_t>(statement.number(column++));
    row.uses = static_cast<std::uint64_t>(statement.number(column++));
    row.first_used_unix_ms = statement.number(column++);
    row.last_used_unix_ms = statement.number(column++);
    row.retirement = statement.text(column++);
    row.correlation = statement.text(column++);
    row.mission = statement.text(column++);
    return row;
}

Result<std::int64_t> schema_version(sqlite3* database, const std::string& path) {
    Statement statement(database, "PRAGMA user_version");
    SANCTUM_TRY(const bool has_row, statement.next(path));
    return has_row ? statement.number(0) : 0;
}

// Makes the tables of a new file, or brings those of an older Sanctum up to date, all steps or none; open() lets one
// process at a time come here. A program of the version before that has the file open goes on with it.
Status prepare_schema(sqlite3* database, const std::string& path) {
    SANCTUM_TRY(const std::int64_t version, schema_version(database, path));
    if (version == kSchemaVersion) return {};
    if (version < 0 || version > kSchemaVersion) {
        return Error{Errc::Unsupported, path + " has version " + std::to_string(version) + ", this Sanctum knows " +
                                            std::to_string(kSchemaVersion) + "; use the newer Sanctum that wrote it"};
    }
    Transaction transaction(database, path);
    SANCTUM_CHECK(transaction.begin());
    for (auto step = static_cast<std::size_t>(version); step < kSteps.size(); ++step) {
        SANCTUM_CHECK(run_script(database, kSteps[step], path));
    }
    return transaction.commit();
}

// SQLite's side files take the mode of the file. Closed before SQLite opens it: closing any descriptor of a file gives
// up the process's locks on it (fcntl(2)).
Status make_private_file(const std::string& path) {
    const UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!made) return io_error(path);
    return {};
}

}  // namespace

std::int64_t end_of_life(const LeaseRow& row) {
    const bool is_known = row.alive_until_unix_ms != 0;
    return is_known ? std::max(row.expires_unix_ms, row.alive_until_unix_ms) : 0;
}

wire::LeaseChanged to_record(const LeaseRow& row) {
    wire::LeaseChanged record;
    record.lease = row.lease;
    record.service = row.service;
    record.account = row.account;
    record.state = std::string(name_of(row.state));
    record.asked = row.asked;
    record.received = row.received;
    record.narrowed_by = std::string(name_of(row.narrowed_by));
    record.retire = std::string(name_of(row.retire));
    record.expires_unix_ms = row.expires_unix_ms;
    record.thumbprint = row.thumbprint;
    record.uses = row.uses;
    record.first_used_unix_ms = row.first_used_unix_ms;
    record.last_used_unix_ms = row.last_used_unix_ms;
    record.detail = row.detail;
    return record;
}

void Journal::Close::operator()(sqlite3* database) const { ::sqlite3_close(database); }

Journal::Journal(std::unique_ptr<sqlite3, Close> database, std::string path)
    : database_(std::move(database)), path_(std::move(path)) {}
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;
Journal::~Journal() = default;

Result<Journal> Journal::open(const std::string& state_folder, std::chrono::milliseconds busy_timeout) {
    SANCTUM_CHECK(make_folders(state_folder, 0700));
    const std::string path = path_in(state_folder);
    // One at a time: SQLite does not wait for another process that switches the same new file to WAL.
    SANCTUM_TRY(const UniqueFd turn, lock_file(vault_lock_path(state_folder, "journal"), Wait::Yes));
    SANCTUM_CHECK(make_private_file(path));
    sqlite3* opened = nullptr;
    const int code = ::sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, nullptr);
    std::unique_ptr<sqlite3, Close> database(opened);
    if (code != SQLITE_OK) return sqlite_error(opened, path);
    ::sqlite3_busy_timeout(opened, static_cast<int>(busy_timeout.count()));
    SANCTUM_CHECK(run_script(opened, "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;", path));
    // WAL: readers never wait; FULL: what a statement reported is on disk.
    SANCTUM_CHECK(run_script(opened, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", path));
    SANCTUM_CHECK(run_script(opened, "PRAGMA foreign_keys = ON;", path));
    // The log stays when the last one leaves: copying it into the file then would cost each mission three more syncs.
    // What was reported as durable is so in the log; SQLite copies it when it has grown.
    if (::sqlite3_db_config(opened, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr) != SQLITE_OK) {
        return sqlite_error(opened, path);
    }
    SANCTUM_CHECK(prepare_schema(opened, path));
    return Journal(std::move(database), path);
}

// In WAL mode FULL syncs the log at each commit, NORMAL only at checkpoints (https://sqlite.org/wal.html).
Status Journal::set_durability(Durable durable) {
    if (durability_ == durable) return {};
    SANCTUM_CHECK(run_script(database_.get(), durable == Durable::Now ? "PRAGMA synchronous = FULL"
                                                                      : "PRAGMA synchronous = NORMAL", path_));
    durability_ = durable;
    return {};
}

Status Journal::add_mission(const MissionRow& mission) {
    // A mission without leases may be forgotten, and the first lease takes this row along.
    SANCTUM_CHECK(set_durability(Durable::Later));
    Statement statement(database_.get(), "INSERT INTO missions (mission, started_unix_ms, ends_unix_ms, settled, "
                                         "parent) VALUES (?,?,?,?,?)");
    statement.bind(mission.mission).bind(mission.started_unix_ms).bind(mission.ends_unix_ms);
    return statement.bind(std::int64_t{mission.is_settled}).bind(mission.parent).run(path_);
}

Status Journal::settle_mission(const std::string& mission) {
    return Statement(database_.get(), "UPDATE missions SET settled=1 WHERE mission=?").bind(mission).run(path_);
}

Status Journal::add_lease(const LeaseRow& lease, Durable durable) {
    SANCTUM_CHECK(set_durability(durable));
    Statement statement(database_.get(), kInsertLease);
    bind_lease(statement, lease);
    return statement.run(path_);
}

Status Journal::update_leases(const std::vector<LeaseRow>& leases, Durable durable) {
    SANCTUM_CHECK(set_durability(durable));
    Transaction transaction(database_.get(), path_);
    SANCTUM_CHECK(transaction.begin());
    for (const LeaseRow& lease : leases) {
        Statement statement(database_.get(), kUpdateLease);
        bind_lease(statement, lease);
        SANCTUM_CHECK(statement.run(path_));
        if (::sqlite3_changes(database_.get()) != 1) {
            return Error{Errc::NotFound, path_ + ": lease " + lease.correlation + " is not in the journal"};
        }
    }
    return transaction.commit();
}

Result<std::vector<LeaseRow>> Journal::leases_of(const std::string& mission) {
    Statement statement(database_.get(), kSelectLeases);
    statement.bind(mission);
    std::vector<LeaseRow> rows;
    for (;;) {
        SANCTUM_TRY(const bool has_row, statement.next(path_));
        if (!has_row) return rows;
        SANCTUM_TRY(LeaseRow row, read_lease(statement, path_));
        rows.push_back(std::move(row));
    }
}

Result<std::vector<MissionRow>> Journal::unsettled_missions(std::string_view only, std::size_t count,
                                                            const MissionRow* after) {
    Statement statement(database_.get(),
                        "SELECT mission, started_unix_ms, ends_unix_ms, parent FROM missions "
                        "WHERE settled=0 AND (?='' OR mission=?) AND (started_unix_ms, mission) > (?, ?) "
                        "ORDER BY started_unix_ms, mission LIMIT ?");
    statement.bind(only).bind(only);
    statement.bind(after == nullptr ? std::numeric_limits<std::int64_t>::min() : after->started_unix_ms);
    statement.bind(after == nullptr ? std::string_view() : std::string_view(after->mission));
    statement.bind(static_cast<std::int64_t>(count));
    std::vector<MissionRow> rows;
    for (;;) {
        SANCTUM_TRY(const bool has_row, statement.next(path_));
        if (!has_row) return rows;
        rows.push_back({statement.text(0), statement.number(1), statement.number(2), false, statement.text(3)});
    }
}

Result<std::vector<MissionRow>> Journal::missions() {
    Statement statement(database_.get(), "SELECT mission, started_unix_ms, ends_unix_ms, settled, parent FROM missions "
                                         "ORDER BY started_unix_ms, mission");
    std::vector<MissionRow> rows;
    for (;;) {
        SANCTUM_TRY(const bool has_row, statement.next(path_));
        if (!has_row) return rows;
        rows.push_back({statement.text(0), statement.number(1), statement.number(2), statement.number(3) != 0,
                        statement.text(4)});
    }
}

Status Journal::forget_settled(WallTime before) {
    return Statement(database_.get(), "DELETE FROM missions WHERE settled=1 AND started_unix_ms<?")
        .bind(before.unix_ms)
        .run(path_);
}

}  // namespace sanctum::vault
