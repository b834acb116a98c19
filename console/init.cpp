// SPDX-License-Identifier: Apache-2.0
// `sanctum init`: finds the agent, writes mission.toml for it, checks it as a run would, and trusts it.
#include "base/files.hpp"
#include "console/agent_preset.hpp"
#include "console/commands.hpp"
#include "console/find_agent.hpp"
#include "console/load_mission.hpp"
#include "ledger/printable.hpp"
#include "profiles/schema/owned_file.hpp"
#include "profiles/schema/values.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sanctum::console {
namespace {

using ledger::printable;

Status write_new_file(const std::string& path, std::string_view text, mode_t mode) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd && errno == EEXIST) {
        return Error{Errc::NotPermitted, path + " exists already (move it away, or use --print)", EEXIST};
    }
    if (!fd) return io_error("create " + path);
    const Status written = write_all(fd.get(), text);
    if (written) return {};
    ::unlink(path.c_str());
    return Error(written.error()).in(path);
}

// Root's agents run as the workspace's owner, who must be able to use the kept home.
Status give_to_owner_of(const std::string& workspace, const std::string& path) {
    struct stat status {};
    if (::geteuid() != 0 || ::stat(workspace.c_str(), &status) != 0 || status.st_uid == 0) return {};
    if (::lchown(path.c_str(), status.st_uid, status.st_gid) != 0) return io_error("chown " + path);
    return {};
}

// The agent's own settings in its kept home; what is there already stays.
Status prepare_home(std::span<const HomeFile> files, const profiles::Mission& mission) {
    const std::string& home = mission.sandbox.home_store;
    if (home.empty()) return {};
    for (const HomeFile& file : files) {
        const std::string path = home + "/" + file.path;
        const std::string folder = path.substr(0, path.rfind('/'));
        SANCTUM_CHECK(make_folders(folder, 0700));
        const Status written = write_new_file(path, home_file_text(file, mission.sandbox.workspace), 0600);
        if (!written && written.error().sys_errno != EEXIST) return written.error();
        for (const std::string& place : {home, folder, path}) {
            SANCTUM_CHECK(give_to_owner_of(mission.sandbox.workspace, place));
        }
    }
    return {};
}

Status trust_written(const std::string& path, const Places& places) {
    SANCTUM_TRY(const profiles::ProfileFile file, profiles::read_profile_file(path));
    return profiles::pin_trust(file, places);
}

// The profile, its kept home and its pin. Whole or not at all: the next try must not find half of this one.
Status write_and_trust(const Console& console, const std::string& path, const std::string& text,
                       std::span<const HomeFile> home_files, const profiles::Mission& mission) {
    SANCTUM_CHECK(profiles::check_owned_folder(console.working_directory));
    SANCTUM_CHECK(write_new_file(path, text, 0644));
    Status done = prepare_home(home_files, mission);
    if (done) done = trust_written(path, console.places);
    if (!done) ::unlink(path.c_str());
    return done;
}

void say_next(Console& console, const AgentPreset& preset, const FoundProgram& found,
              const profiles::OperatorConfig& config) {
    if (preset.program != nullptr && found.path.empty()) {
        console.err << "note: " << preset.program << " was not found; add its place to `read` when it is installed\n";
    } else if (!found.path.empty()) {
        console.out << "found " << printable(found.path) << "\n";
    }
    if (found.is_wrapper) {
        console.err << "note: " << printable(found.path)
                    << " is a shell script; add the folder of what it starts to `read` in mission.toml\n";
    }
    if (preset.catalog != nullptr && choose_account(preset, config).account.empty()) {
        console.out << "next: sanctum vault add " << preset.catalog << ", then an [[account]] in "
                    << printable(console.places.configuration) << " (mission.toml says how)\n";
    }
    console.out << "then: " << preset.example << "\n";
}

}  // namespace

Exit run_init(Console& console, const InitOptions& options) {
    const AgentPreset* preset = find_preset(options.agent);
    if (preset == nullptr) return fail(console, "unknown agent '" + printable(options.agent) + "'", Exit::Usage);
    const auto config = profiles::load_operator_config(console.places.configuration, profiles::Missing::IsEmpty);
    if (!config) return fail(console, config.error());
    const SearchPlaces places{console.variable("PATH"), console.variable("HOME")};
    const FoundProgram found = preset->program == nullptr ? FoundProgram{} : find_program(preset->program, places);
    const GitSettings git = find_git_settings(places.home);
    const std::string text = profile_text(*preset, found, git, *config);
    const std::string& folder = console.working_directory;
    const auto wide = profiles::too_wide(folder, console.variable("HOME"));
    if (wide && !options.prints) {
        return fail(console, "no mission could run here: workspace " + printable(folder) + " " + wide->why + " (" +
                                 wide->remedy + ")", Exit::Failed);
    }
    const std::string path = folder + "/mission.toml";
    // Checked before it is written: what init leaves behind always loads here.
    const Result<LoadedMission> loaded = resolve_text(console, {path, text, {}});
    if (!loaded) return fail(console, loaded.error());
    if (options.prints) {
        console.out << text;
        return Exit::Ok;
    }
    const AgentLogin* login = choose_account(*preset, *config).login;
    const std::span<const HomeFile> files = login != nullptr ? login->home_files : preset->home_files;
    const Status written = write_and_trust(console, path, text, files, loaded->mission);
    if (!written) return fail(console, written.error());
    console.out << "wrote and trusted " << printable(path) << "\n"
                << profiles::exposure_line(loaded->mission, loaded->catalog) << "\n";
    say_next(console, *preset, found, *config);
    return Exit::Ok;
}

}  // namespace sanctum::console
