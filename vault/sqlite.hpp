// SPDX-License-Identifier: Apache-2.0
// A thin, typed hold on SQLite's C interface: statements that are finalised and errors that are ours.
// For journal.cpp only.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace sanctum::vault {

/// An Error from the connection's last failure. See https://sqlite.org/rescode.html.
[[nodiscard]] Error sqlite_error(sqlite3* database, const std::string& path);

/// Runs statements that give no rows.
[[nodiscard]] Status run_script(sqlite3* database, const char* sql, const std::string& path);

/// One prepared statement. Parameters are bound by position, counted from 1, in the order of the calls; a wrong SQL
/// text shows at the first next().
class Statement {
public:
    Statement(sqlite3* database, const char* sql);
    Statement& bind(std::string_view text);
    Statement& bind(std::int64_t number);
    Statement& bind_null();
    /// The next row; false: no more. Errors: the database's.
    [[nodiscard]] Result<bool> next(const std::string& path);
    /// Runs a statement that gives no rows.
    [[nodiscard]] Status run(const std::string& path);
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] bool is_null(int column) const;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    sqlite3* database_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bound_ = 0;
    bool is_prepared_ = false;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back unless committed.
class Transaction {
public:
    Transaction(sqlite3* database, const std::string& path) : database_(database), path_(path) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    [[nodiscard]] Status begin();
    [[nodiscard]] Status commit();

private:
    sqlite3* database_;
    const std::string& path_;
    bool is_open_ = false;
};

}  // namespace sanctum::vault
