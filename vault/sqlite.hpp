// SPDX-License-Identifier: Apache-2.0
// A thin, typed hold on SQLite's C interface: statements that are finalised and errors that are ours.
// Included by journal.cpp only.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <sqlite3.h>
#include <string>
#include <string_view>

namespace sanctum::vault {

/// An Error from the connection's last failure. See https://sqlite.org/rescode.html.
[[nodiscard]] inline Error sqlite_error(sqlite3* database, const std::string& path) {
    const int code = ::sqlite3_errcode(database);
    const std::string what = path + ": " + ::sqlite3_errmsg(database);
    switch (code) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return Error{Errc::Timeout, what + " (another Sanctum process holds it)"};
        case SQLITE_FULL: return Error{Errc::Limit, what + " (make room on the disk)"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Error{Errc::Protocol, what + " (the journal is damaged; nothing was changed: put a copy back, or "
                                                "move it away after `sanctum reap`)"};
        default: return Error{Errc::Io, what};
    }
}

/// One prepared statement. Parameters are bound by position, counted from 1, in the order of the calls.
class Statement {
public:
    Statement(sqlite3* database, const char* sql) : database_(database) {
        sqlite3_stmt* statement = nullptr;
        prepared_ = ::sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) == SQLITE_OK;
        statement_.reset(statement);
    }
    Statement& bind(std::string_view text) {
        ::sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        return *this;
    }
    Statement& bind(std::int64_t number) {
        ::sqlite3_bind_int64(statement_.get(), ++bound_, number);
        return *this;
    }
    Statement& bind_null() {
        ::sqlite3_bind_null(statement_.get(), ++bound_);
        return *this;
    }
    /// The next row; false: no more. Errors: the database's.
    [[nodiscard]] Result<bool> next(const std::string& path) {
        const int code = prepared_ ? ::sqlite3_step(statement_.get()) : SQLITE_ERROR;
        if (code == SQLITE_ROW) return true;
        if (code == SQLITE_DONE) return false;
        return sqlite_error(database_, path);
    }
    /// Runs a statement that gives no rows.
    [[nodiscard]] Status run(const std::string& path) {
        SANCTUM_TRY(const bool has_row, next(path));
        static_cast<void>(has_row);
        return {};
    }
    [[nodiscard]] std::string text(int column) const {
        const auto* bytes = reinterpret_cast<const char*>(::sqlite3_column_text(statement_.get(), column));
        return bytes == nullptr ? std::string()
                                : std::string(bytes, static_cast<std::size_t>(
                                                         ::sqlite3_column_bytes(statement_.get(), column)));
    }
    [[nodiscard]] std::int64_t number(int column) const { return ::sqlite3_column_int64(statement_.get(), column); }
    [[nodiscard]] bool is_null(int column) const {
        return ::sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
    }

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
    };
    sqlite3* database_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bound_ = 0;
    bool prepared_ = false;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back unless committed.
class Transaction {
public:
    Transaction(sqlite3* database, const std::string& path) : database_(database), path_(path) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction() {
        if (is_open_) ::sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    [[nodiscard]] Status begin() {
        SANCTUM_CHECK(Statement(database_, "BEGIN IMMEDIATE").run(path_));
        is_open_ = true;
        return {};
    }
    [[nodiscard]] Status commit() {
        SANCTUM_CHECK(Statement(database_, "COMMIT").run(path_));
        is_open_ = false;
        return {};
    }

private:
    sqlite3* database_;
    const std::string& path_;
    bool is_open_ = false;
};

}  // namespace sanctum::vault
