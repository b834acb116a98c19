// SPDX-License-Identifier: Apache-2.0
// The command line of sanctum-run as plain data. options.cpp is the only file that knows CLI11.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sanctum::launcher {

/// How much sanctum-run says on stderr. stdout belongs to the command.
enum class Talk { Quiet, Normal, Verbose };

/// What the caller asked for. Strings are as given; nothing was looked up yet.
struct Options {
    std::string profile;            ///< file or name; empty: SANCTUM_PROFILE, then ./mission.toml
    std::string config;             ///< empty: the usual place
    std::string ttl;
    std::string name;
    std::string working_directory;  ///< of the command; empty: ours
    std::vector<std::string> settings;
    std::vector<std::string> environment;
    std::vector<std::string> mounts;
    int status_fd = -1;             ///< -1: none
    bool dry_run = false;
    bool new_session = false;
    Talk talk = Talk::Normal;
    std::vector<std::string> command;
};

/// Either options, or what to print instead and the exit code.
struct ParsedOptions {
    std::optional<Options> options;
    std::string text;   ///< help or version (for stdout when `exit_code` is 0), or a mistake (for stderr)
    int exit_code = 0;
};

/// The one argument of sanctum-run as the launcher of a child mission; only a launcher starts it so.
inline constexpr std::string_view kChildMissionOption = "--child-mission";

/// Parses `arguments` (without the program's name).
[[nodiscard]] ParsedOptions parse_options(std::span<const std::string> arguments);

}  // namespace sanctum::launcher
