// SPDX-License-Identifier: Apache-2.0
#include "vault/sqlite.hpp"

#include <sqlite3.h>

namespace sanctum::vault {

Error sqlite_error(sqlite3* database, const std::string& path) {
    const std::string what = path + ": " + ::sqlite3_errmsg(database);
    switch (::sqlite3_errcode(database)) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return Error{Errc::Timeout, what + " (another Sanctum process holds it)"};
        case SQLITE_FULL: return Error{Errc::Limit, what + " (make room on the disk)"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Error{Errc::Protocol, what + " (the journal is damaged and was not changed: put a copy back, or "
                                                "move it away when no mission runs)"};
        default: return Error{Errc::Io, what};
    }
}

Status run_script(sqlite3* database, const char* sql, const std::string& path) {
    if (::sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return sqlite_error(database, path);
    return {};
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }

Statement::Statement(sqlite3* database, const char* sql) : database_(database) {
    sqlite3_stmt* statement = nullptr;
    is_prepared_ = ::sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) == SQLITE_OK;
    statement_.reset(statement);
}

Statement& Statement::bind(std::string_view text) {
    ::sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
}

Statement& Statement::bind(std::int64_t number) {
    ::sqlite3_bind_int64(statement_.get(), ++bound_, number);
    return *this;
}

Statement& Statement::bind_null() {
    ::sqlite3_bind_null(statement_.get(), ++bound_);
    return *this;
}

Result<bool> Statement::next(const std::string& path) {
    const int code = is_prepared_ ? ::sqlite3_step(statement_.get()) : SQLITE_ERROR;
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return sqlite_error(database_, path);
}

Status Statement::run(const std::string& path) {
    const Result<bool> row = next(path);
    return row ? Status{} : Status{row.error()};
}

std::string Statement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(::sqlite3_column_text(statement_.get(), column));
    if (bytes == nullptr) return {};
    return {bytes, static_cast<std::size_t>(::sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t Statement::number(int column) const { return ::sqlite3_column_int64(statement_.get(), column); }

bool Statement::is_null(int column) const {
    return ::sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Transaction::~Transaction() {
    if (is_open_) ::sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Status Transaction::begin() {
    SANCTUM_CHECK(Statement(database_, "BEGIN IMMEDIATE").run(path_));
    is_open_ = true;
    return {};
}

Status Transaction::commit() {
    SANCTUM_CHECK(Statement(database_, "COMMIT").run(path_));
    is_open_ = false;
    return {};
}

}  // namespace sanctum::vault
