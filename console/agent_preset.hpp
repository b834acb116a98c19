// SPDX-License-Identifier: Apache-2.0
// What Sanctum knows about the agents that `init` can set up, and the profile text it writes for them.
#pragma once

#include "console/find_agent.hpp"
#include "console/git_settings.hpp"
#include "profiles/schema/operator_config.hpp"

#include <span>
#include <string>
#include <vector>

namespace sanctum::console {

/// A file of the agent's own home: its own sandbox off, which cannot start inside ours, and its questions answered: the
/// key is a placeholder, and that it may work in this folder is what `init` was asked for.
struct HomeFile {
    const char* path;     ///< below the kept home
    const char* content;  ///< `@workspace@` stands for the quoted path of the workspace
};

/// The same agent with a subscription instead of an API key: an account whose source is a login.
struct AgentLogin {
    const char* catalog;
    const char* grant;  ///< TOML array
    std::span<const HomeFile> home_files;
};

struct AgentPreset {
    const char* name;          ///< of --agent
    const char* program;       ///< nullptr: any command
    const char* agent;         ///< mission.agent
    const char* purpose;
    const char* ttl;
    const char* catalog;       ///< the service it needs; nullptr: none
    const char* service;
    const char* grant;         ///< TOML array
    const char* more_service;  ///< further lines of the service
    const char* set;           ///< variables, `NAME = "value"` with commas; PATH is added where the agent needs it
    bool keeps_home;
    const char* housekeeping;  ///< comment lines: calls that nobody asked for, and what becomes of them
    const char* tail;          ///< further tables
    std::span<const HomeFile> home_files;
    const char* example;       ///< command to try
    const AgentLogin* login = nullptr;  ///< nullptr: it has no subscription
};

/// What of a preset fits the operator's accounts: the API key's where there is one, else the login's.
struct AgentChoice {
    std::string account;              ///< empty: there is none for it
    const AgentLogin* login = nullptr;
    bool is_captured = false;         ///< nobody logs in outside: the agent does it within the mission
};
[[nodiscard]] AgentChoice choose_account(const AgentPreset& preset, const profiles::OperatorConfig& config);

/// nullptr for an unknown name.
[[nodiscard]] const AgentPreset* find_preset(const std::string& name);

/// The profile's text. Where the operator has no account for the service, its lines are comments that say what to do,
/// so that the file is right as it stands; settings of git that may hold secrets are shown by nobody but their owner.
[[nodiscard]] std::string profile_text(const AgentPreset& preset, const FoundProgram& found, const GitSettings& git,
                                       const profiles::OperatorConfig& config);

/// What is written into a file of the agent's home.
[[nodiscard]] std::string home_file_text(const HomeFile& file, const std::string& workspace);

}  // namespace sanctum::console
