// SPDX-License-Identifier: Apache-2.0
// The only file of the launcher that knows CLI11.
#include "launcher/run/options.hpp"

#include "base/build_id.hpp"
#include "base/command_line/describe.hpp"
#include "base/command_line/mistake.hpp"
#include "base/wire/archive.hpp"
#include "launcher/run/exit_codes.hpp"
#include "profiles/schema/diagnostics.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iterator>

namespace sanctum::launcher {
namespace {

constexpr const char* kDescription =
    "Runs an unmodified command for one mission: in a sandbox whose only network path is Sanctum's interceptor, with "
    "the permissions of one profile, and without any credential.\n";

constexpr const char* kFooter = R"(
Example:
  sanctum-run --profile triage.toml --ttl 30m -- claude -p "triage the new issues"
  sanctum-run --dry-run -- sh job.sh          what would be set up, without running anything
  sanctum-run --profile review.toml -- CMD    inside a mission that says delegate = true: a child mission

Exit codes:
  122 the mission was revoked      124 its time ran out
  125 Sanctum could not set up and ran nothing
  126 the command cannot be executed      127 the command was not found
  128+N the command was ended by signal N, otherwise the command's own code
  137 also: Sanctum itself broke, or the record could not be sealed
)";

void describe(CLI::App& app, Options& options, bool& is_quiet, bool& is_verbose) {
    app.add_option("--profile", options.profile, "Profile: a file, or the name of a shipped or trusted one")
        ->type_name("FILE|NAME");
    app.add_option("--config", options.config, "Operator's configuration instead of the usual one")->type_name("FILE");
    app.add_option("--ttl", options.ttl, "Hard end of the run, e.g. 30m; the operator's bounds still hold")
        ->type_name("TIME");
    app.add_option("--name", options.name, "Name of this mission in the record")->type_name("NAME");
    app.add_flag("--dry-run", options.dry_run, "Print the mission and the plan on stdout and run nothing");
    app.add_option("-c,--set", options.settings, "Override one key of the profile, TOML value; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("-e,--env", options.environment, "Pass a variable, or set it; may be repeated")
        ->type_name("VAR[=VALUE]")
        ->allow_extra_args(false);
    app.add_option("--mount", options.mounts, "Show a place of this machine inside; may be repeated")
        ->type_name("SRC:DST[:ro]")
        ->allow_extra_args(false);
    app.add_option("-w,--workdir", options.working_directory, "Working directory of the command")->type_name("DIR");
    app.add_option("--status-fd", options.status_fd, "Write JSON lines about start and end to this descriptor")
        ->type_name("N")
        ->check(CLI::Range(0, 1 << 20).description(""));
    app.add_flag("--new-session", options.new_session, "Give the command a session of its own (no job control)");
    app.add_flag("-q,--quiet", is_quiet, "Say nothing but errors");
    app.add_flag("-v,--verbose", is_verbose, "Say more, also when stderr is no terminal");
}

// CLI11 does not know about what is behind `--`.
std::string help_text(const CLI::App& app) {
    constexpr std::string_view kUsage = "sanctum-run [OPTIONS]";
    std::string text = app.help();
    if (const std::size_t at = text.find(kUsage); at != std::string::npos) {
        text.replace(at, kUsage.size(), "sanctum-run [OPTIONS] -- CMD [ARG]...");
    }
    return text;
}

ParsedOptions mistake(const std::string& text) {
    return {std::nullopt, "sanctum-run: " + profiles::printable(text) + "\nTry 'sanctum-run --help'.\n",
            kExitSetupFailed};
}

}  // namespace

ParsedOptions parse_options(std::span<const std::string> arguments) {
    // Everything behind the first `--` is the command's and is never looked at; CLI11 sees only what is before it.
    const auto separator = std::find(arguments.begin(), arguments.end(), "--");
    std::vector<std::string> ours(arguments.begin(), separator);
    std::reverse(ours.begin(), ours.end());  // CLI11's vector form takes them from the back

    CLI::App app(kDescription, "sanctum-run");
    Options options;
    bool is_quiet = false;
    bool is_verbose = false;
    describe(app, options, is_quiet, is_verbose);
    app.set_version_flag("--version", std::string("sanctum-run ") + version());
    app.footer(kFooter);
    refuse_empty_values(app);
    if (ours == std::vector<std::string>{kDescribeOption}) {
        return {std::nullopt, wire::to_json(describe_command_line(app)) + "\n", 0};
    }
    try {
        app.parse(std::move(ours));
    } catch (const CLI::CallForHelp&) {
        return {std::nullopt, help_text(app), 0};
    } catch (const CLI::CallForVersion&) {
        return {std::nullopt, app.version() + "\n", 0};
    } catch (const CLI::ExtrasError& error) {
        return mistake(describe_mistake(app, error) + " (the command goes behind `--`)");
    } catch (const CLI::ParseError& error) {
        return mistake(describe_mistake(app, error));
    }
    if (is_quiet && is_verbose) return mistake("-q and -v exclude each other");
    options.talk = is_quiet ? Talk::Quiet : is_verbose ? Talk::Verbose : Talk::Normal;
    if (separator != arguments.end()) options.command.assign(std::next(separator), arguments.end());
    if (options.command.empty() || options.command.front().empty()) {
        return mistake("no command given; put it behind `--`: sanctum-run [options] -- CMD [ARG]...");
    }
    return {std::move(options), "", 0};
}

}  // namespace sanctum::launcher
