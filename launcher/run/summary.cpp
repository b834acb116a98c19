// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/summary.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "base/runs_later/git_configuration.hpp"
#include "base/standard_path.hpp"
#include "launcher/plan/plan_mounts.hpp"
#include "ledger/printable.hpp"
#include "profiles/schema/values.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

constexpr std::size_t kScopesNamedMax = 6;
constexpr std::size_t kFilesNamedMax = 20;

bool is_runnable_file(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string joined(const std::vector<std::string>& words, std::size_t words_max) {
    std::string text;
    for (std::size_t i = 0; i < words.size() && i < words_max; ++i) text += (i == 0 ? "" : ", ") + words[i];
    if (words.size() > words_max) text += " and " + std::to_string(words.size() - words_max) + " more";
    return text;
}

std::string value_or(const std::map<std::string, std::string>& values, const char* name, const char* otherwise) {
    const auto found = values.find(name);
    return found == values.end() ? otherwise : found->second;
}

// A TOML basic string is written like a JSON one.
std::string quote(const std::string& text) {
    std::string out;
    wire::append_json_string(out, text);
    return out;
}

bool names_folder(const std::string& path, const std::string& folder) {
    return (":" + path + ":").find(":" + folder + ":") != std::string::npos;
}

// What of a program outside is missing inside: the file, its folder in PATH, or both.
std::string lines_that_show(const std::string& program, const PreparedMission& prepared) {
    const std::vector<profiles::Mount>& granted = prepared.mission.sandbox.mounts;
    const bool is_there = std::any_of(granted.begin(), granted.end(), [&](const profiles::Mount& mount) {
        return program == mount.target || program.starts_with(mount.target + "/");
    });
    std::string lines;
    if (!is_there) lines += "\n  read = [" + quote(program) + "]";
    const std::string folder = program.substr(0, program.rfind('/'));
    const std::string path = value_or(prepared.plan.environment, "PATH", kStandardPath);
    const bool is_looked_for = prepared.plan.command.front().find('/') == std::string::npos;
    if (is_looked_for && !names_folder(path, folder)) {
        lines += "\n  environment = { set = { PATH = " + quote(folder + ":" + path) + " } }";
    }
    return lines;
}

// What follows `label` in a file of one line, completed from `folder`; empty: there is no such file.
std::string place_in(const std::string& file, std::string_view label, const std::string& folder) {
    const Result<std::string> text = read_file(file, kSmallFileBytesMax);
    if (!text || !text->starts_with(label)) return {};
    const std::string_view line = std::string_view(*text).substr(label.size());
    const auto path = profiles::parse_path(line.substr(0, line.find_first_of("\r\n")), folder, "");
    const auto* place = std::get_if<std::string>(&path);
    return place == nullptr ? std::string() : *place;
}

bool is_shown(const std::string& path, const profiles::Sandbox& sandbox) {
    return is_same_or_below(path, sandbox.workspace) ||
           std::any_of(sandbox.mounts.begin(), sandbox.mounts.end(),
                       [&](const profiles::Mount& mount) { return is_same_or_below(path, mount.target); });
}

bool is_same_folder(const std::string& one, const std::string& other) {
    std::error_code error;
    return std::filesystem::equivalent(one, other, error);
}

// gitrepository-layout(5), worktrees/<id>/gitdir; git-config(1), core.worktree.
bool points_back(const std::string& folder, const std::string& common, const std::string& workspace) {
    if (folder != common) {
        const std::filesystem::path back = place_in(folder + "/gitdir", "", folder);
        return std::filesystem::path(folder).parent_path() == common + "/worktrees" && back.filename() == ".git" &&
               is_same_folder(back.parent_path(), workspace);
    }
    const Result<std::string> text = read_file(common + "/config", kRunsLaterFileBytesMax);
    if (!text) return false;
    const auto variables = runs_later::parse_git_configuration(*text);
    if (!variables) return false;
    return std::any_of(variables->begin(), variables->end(), [&](const runs_later::GitVariable& variable) {
        if (variable.key() != "core.worktree") return false;
        const auto path = profiles::parse_path(variable.value, common, "");
        const auto* place = std::get_if<std::string>(&path);
        return place != nullptr && is_same_folder(*place, workspace);
    });
}

}  // namespace

bool is_exec_failure(const Error& error) {
    return error.sys_errno != 0 && (error.code == Errc::NotFound || error.code == Errc::NotPermitted);
}

std::string find_outside(const std::string& command, const std::string& path, const std::string& working_directory) {
    if (command.find('/') != std::string::npos) {
        const std::string place = command.starts_with('/') ? command : working_directory + "/" + command;
        return is_runnable_file(place) ? place : "";
    }
    std::size_t at = 0;
    while (at <= path.size()) {
        const std::size_t end = std::min(path.find(':', at), path.size());
        const std::string folder = path.substr(at, end - at);
        if (folder.starts_with('/') && is_runnable_file(folder + "/" + command)) return folder + "/" + command;
        at = end + 1;
    }
    return "";
}

Ending explain_exec_failure(const Error& error, const PreparedMission& prepared) {
    const std::string& command = prepared.plan.command.front();
    if (error.code != Errc::NotFound) {
        return failed_to_set_up(command + ": cannot be executed: " + std::strerror(error.sys_errno),
                                kExitCannotExecute);
    }
    const std::string outside = find_outside(command, value_or(prepared.environment, "PATH", ""),
                                             prepared.plan.working_directory);
    if (outside.empty()) return failed_to_set_up(command + ": command not found", kExitCommandNotFound);
    const std::string found = command + ": found on this machine as " + outside + ", but not inside the sandbox";
    const std::string lines = lines_that_show(outside, prepared);
    const std::string remedy = lines.empty() ? "a mount covers it (--mount, or [sandbox] of the profile)"
                                             : "add to " + prepared.mission.profile_path + ":\n  [sandbox]" + lines;
    return failed_to_set_up(found + "; " + remedy, kExitCommandNotFound);
}

Ending explain_exec_failure_inside(const Error& error, const SandboxPlan& plan) {
    const std::string& command = plan.command.front();
    if (error.code == Errc::NotFound) return failed_to_set_up(command + ": command not found", kExitCommandNotFound);
    return failed_to_set_up(command + ": cannot be executed: " + std::strerror(error.sys_errno), kExitCannotExecute);
}

// gitrepository-layout(5): `.git` as a file, and commondir.
std::string repository_outside(const profiles::Sandbox& sandbox) {
    const std::string folder = place_in(sandbox.workspace + "/.git", "gitdir: ", sandbox.workspace);
    if (folder.empty()) return {};
    std::string common = place_in(folder + "/commondir", "", folder);
    if (common.empty()) common = folder;
    if (is_shown(folder, sandbox) && is_shown(common, sandbox)) return {};
    // SECURITY: whoever wrote the file could name any place; only a repository that names this workspace is offered.
    if (!points_back(folder, common, sandbox.workspace)) return {};
    for (const char* part : {"/HEAD", "/objects"}) {
        if (::access((common + part).c_str(), F_OK) != 0) return {};
    }
    const std::string mount = ledger::shell_word(common + ":" + common + ":ro");
    return "git finds no repository here: it is in " + ledger::printable(common) + ", which is not inside; --mount " +
           mount + " shows it (without :ro the agent can commit; hooks that it leaves there are held back)";
}

std::string last_lines(const std::string& mission, const Counts& counts, bool has_scopes,
                       const std::vector<std::string>& unused_scopes) {
    std::string first = std::to_string(counts.allowed) + " allowed, " + std::to_string(counts.refused) + " refused";
    if (!counts.refused_by_reason.empty()) {
        std::vector<std::string> reasons;
        for (const auto& [reason, count] : counts.refused_by_reason) {
            reasons.push_back(reason + " " + std::to_string(count));
        }
        first += " (" + joined(reasons, kScopesNamedMax) + ")";
    }
    if (counts.attempts_refused > 0) {
        first += ", " + std::to_string(counts.attempts_refused) +
                 (counts.attempts_refused == 1 ? " connection" : " connections") + " came to nothing";
    }
    std::string rejected;
    for (const auto& [account, count] : counts.rejected_by_account) {
        rejected += "\nsanctum-run: account " + account + ": its server refused the credential (401) " +
                    std::to_string(count) + (count == 1 ? " time" : " times") +
                    "; renew it (a store's item: sanctum vault add ITEM --replace)";
    }
    std::string second;
    if (!unused_scopes.empty()) second = "\nsanctum-run: never used: " + joined(unused_scopes, kScopesNamedMax);
    else if (has_scopes) second = "\nsanctum-run: every granted scope was used";
    return first + rejected + second + "\nsanctum-run: see: sanctum show " + mission;
}

std::string witness_line(const std::string& command, const ledger::Sealed& sealed) {
    const std::optional<ledger::WitnessCount>& count = sealed.witness;
    if (!count || count->told == count->of) return "";
    return "witness: told " + std::to_string(count->told) + " of " + std::to_string(count->of) + " heads (command " +
           command + ": " + sealed.witness_fault + ")";
}

void report_workspace(const Result<WorkspaceFindings>& findings, ledger::MissionEnded& ended, const Speaker& speaker) {
    if (!findings || !findings->error.empty()) {
        speaker.error("files that run later could not all be looked at or held back: " +
                      ledger::printable(findings ? findings->error : findings.error().what) +
                      "; look at what the agent could write before you run anything there");
    }
    if (!findings || findings->files.empty()) return;
    ended.held_files = findings->files;
    ended.held_sha256 = findings->digests;
    std::string text = findings->are_held ? "held back until `sanctum accept`, because somebody runs them later:"
                                          : "new or changed, and somebody runs them later:";
    for (std::size_t i = 0; i < findings->files.size() && i < kFilesNamedMax; ++i) {
        text += "\n  " + ledger::printable(findings->files[i]) + " (" + findings->reasons[i] + ")";
    }
    if (findings->files.size() > kFilesNamedMax) text += "\n  and more; see `sanctum show`";
    speaker.say(text);
}

void say_last_lines(const Speaker& speaker, const PreparedMission& prepared, const MissionRecord& record,
                    const Ending& ending, const Result<ledger::Sealed>& sealed) {
    const std::string missed = sealed ? witness_line(prepared.witness, *sealed) : std::string();
    if (!missed.empty()) speaker.error(missed);
    if (ending.reason == EndReason::Setup) return;
    speaker.say(last_lines(prepared.mission.id, record.counts(), !prepared.mission.services.empty(),
                          record.unused_scopes()));
}

}  // namespace sanctum::launcher
