// SPDX-License-Identifier: Apache-2.0
// Where Sanctum keeps things on this machine (formats 2). One place for every path.
#pragma once

#include "base/result.hpp"

#include <map>
#include <string>
#include <sys/types.h>

namespace sanctum {

/// All paths, absolute. Made from the environment and the user id; nothing is created here.
struct Places {
    std::string configuration;  ///< config.toml that applies
    std::string trusted_profiles;
    std::string own_catalog;    ///< catalog.d
    std::string data;           ///< store.sealed, ledger.key, ledger.pub
    std::string state;          ///< missions/, state.db, trust.json, receipts.jsonl
    std::string runtime;        ///< control sockets
    std::string shipped;        ///< share/sanctum: catalog/, profiles/, schema/
    std::string commands;       ///< where sanctum and sanctum-run are
    std::string programs;       ///< where sanctum-interceptor and sanctum-vault are

    [[nodiscard]] std::string console() const { return commands + "/sanctum"; }
    [[nodiscard]] std::string launcher() const { return commands + "/sanctum-run"; }
    [[nodiscard]] std::string interceptor() const { return programs + "/sanctum-interceptor"; }
    [[nodiscard]] std::string vault() const { return programs + "/sanctum-vault"; }

    [[nodiscard]] std::string store() const { return data + "/store.sealed"; }
    [[nodiscard]] std::string ledger_key() const { return data + "/ledger.key"; }
    [[nodiscard]] std::string ledger_public_key() const { return data + "/ledger.pub"; }
    [[nodiscard]] std::string missions() const { return state + "/missions"; }
    [[nodiscard]] std::string mission(const std::string& id) const { return state + "/missions/" + id; }
    [[nodiscard]] std::string trust() const { return state + "/trust.json"; }
    [[nodiscard]] std::string receipts() const { return state + "/receipts.jsonl"; }
    [[nodiscard]] std::string pruned() const { return state + "/pruned.jsonl"; }
    [[nodiscard]] std::string control_socket(const std::string& id) const { return runtime + "/" + id + ".sock"; }
};

/// Resolves formats 2 for a user. `environment`: HOME, XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME,
/// XDG_RUNTIME_DIR, SANCTUM_CONFIG are looked at. Root (uid 0) uses /etc/sanctum, /var/lib/sanctum and /run/sanctum,
/// unless an XDG variable is set, which then wins. `own`: folder of the running executable; the others are beside it (a
/// build tree) or in PREFIX/bin and PREFIX/libexec/sanctum (an installation).
[[nodiscard]] Places find_places(const std::map<std::string, std::string>& environment, uid_t user,
                                 const std::string& own);

/// What XDG_STATE_HOME and XDG_RUNTIME_DIR of `environment` name can be written by this process, or made.
/// Errors: NotPermitted (names the variable: a session's variables outlive `su` and `sudo`).
[[nodiscard]] Status check_own_folders(const Places& places, const std::map<std::string, std::string>& environment);

/// find_places for this process: getenv, geteuid and /proc/self/exe.
[[nodiscard]] Places places_of_this_process();

}  // namespace sanctum
