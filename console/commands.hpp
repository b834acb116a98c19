// SPDX-License-Identifier: Apache-2.0
// The commands of `sanctum`: one options struct and one function each, one file each. options.cpp fills the structs.
#pragma once

#include "base/command_line/command_facts.hpp"
#include "console/console.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sanctum::console {

enum class Format : std::uint8_t { Words, Json };

struct InitOptions {
    std::string agent = "generic";
    bool prints = false;   ///< to standard output; nothing is written or pinned
};
Exit run_init(Console& console, const InitOptions& options);

struct CheckOptions {
    std::string file;
    bool lists = false;
    Format format = Format::Words;
};
Exit run_check(Console& console, const CheckOptions& options);

struct ExplainOptions {
    std::string subject;  ///< profile, or a decision's id
    std::string method;
    std::string url;
    std::vector<std::string> refs;  ///< of a push
    bool deletes = false;           ///< the refs are deleted
    Format format = Format::Words;
};
Exit run_explain(Console& console, const ExplainOptions& options);

/// `format`: profile or configuration.
Exit run_schema(Console& console, const std::string& format);

struct TrustOptions {
    std::string file;
    bool lists = false;
    std::string removed;
    bool is_dry = false;
    Format format = Format::Words;
};
Exit run_trust(Console& console, const TrustOptions& options);

/// Replaces this process by `sanctum-vault store ARGUMENTS…`; returns only when that failed.
Exit run_vault(Console& console, const std::vector<std::string>& arguments);

struct AccountsOptions {
    bool shows_scopes = false;
    Format format = Format::Words;
};
Exit run_accounts(Console& console, const AccountsOptions& options);

struct ConnectOptions {
    std::string account;
    std::vector<std::string> scopes;
    std::string flow;  ///< device or browser; empty: what fits
    std::string unlock;
    bool has_no_browser = false;
    std::uint16_t port = 0;
    bool is_dry = false;
};
/// Replaces this process by `sanctum-vault connect …`; returns only when that failed.
Exit run_connect(Console& console, const ConnectOptions& options);

struct PsOptions {
    bool shows_all = false;  ///< ended missions too
    Format format = Format::Words;
};
Exit run_ps(Console& console, const PsOptions& options);

struct MissionOptions {
    std::string mission;  ///< id, unique prefix, or `last`
    Format format = Format::Words;
};
Exit run_show(Console& console, const MissionOptions& options);

struct RevokeOptions {
    std::string mission;
    std::string service;  ///< only this one; the mission goes on
    bool revokes_all = false;
    bool is_dry = false;
    std::int64_t timeout_ms = 30'000;
};
Exit run_revoke(Console& console, const RevokeOptions& options);

struct AcceptOptions {
    std::string mission;
    bool is_dry = false;
    Format format = Format::Words;
};
Exit run_accept(Console& console, const AcceptOptions& options);

Exit run_audit_show(Console& console, const MissionOptions& options);

struct AuditVerifyOptions {
    std::vector<std::string> missions;  ///< empty: all of this machine, and the chain of receipts
    std::string at_least;               ///< `SEQ:HASH`, a head that was kept elsewhere
    Format format = Format::Words;
};
Exit run_audit_verify(Console& console, const AuditVerifyOptions& options);

struct AuditListOptions {
    std::string agent;  ///< empty: any
    std::string since;  ///< a duration like `7d`; empty: from the beginning
    Format format = Format::Words;
};
Exit run_audit_list(Console& console, const AuditListOptions& options);

struct PruneOptions {
    std::string older;  ///< a duration; empty: the operator's `[ledger] keep`, at least kPruneOlderDefault
    bool is_dry = false;
    Format format = Format::Words;
};
Exit run_prune(Console& console, const PruneOptions& options);

struct ReapOptions {
    bool is_background = false;
    bool is_dry = false;
    std::string forgotten;  ///< MISSION/LEASE: only this credential, which is over, says the operator
    Format format = Format::Words;
};
Exit run_reap(Console& console, const ReapOptions& options);

struct LeasesOptions {
    bool lists_all = false;  ///< those that have ended, too
    Format format = Format::Words;
};
/// `sanctum leases`: what sanctum-vault says of the journal; no store is opened.
Exit run_leases(Console& console, const LeasesOptions& options);

struct DoctorOptions {
    bool is_plain = false;
    Format format = Format::Words;
};
Exit run_doctor(Console& console, const DoctorOptions& options);

/// `shell`: bash, zsh or fish. `own`: this program's command line.
Exit run_completion(Console& console, const std::string& shell, CommandFacts own);

/// `page`: sanctum, sanctum-run, sanctum-profile or sanctum-config.
Exit run_manual(Console& console, const std::string& page, CommandFacts own);

Exit run_version(Console& console, Format format);

}  // namespace sanctum::console
