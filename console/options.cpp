// SPDX-License-Identifier: Apache-2.0
// The command line of `sanctum`: the only file that knows CLI11. Each command has an example in its --help.
#include "base/build_id.hpp"
#include "base/command_line/describe.hpp"
#include "base/command_line/mistake.hpp"
#include "base/nearest.hpp"
#include "console/commands.hpp"
#include "ledger/printable.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace sanctum::console {
namespace {

constexpr const char* kExitCodes =
    "Example:\n"
    "  sanctum init --agent claude           write mission.toml for this folder, and trust it\n"
    "  sanctum-run -- claude                 run it\n"
    "  sanctum explain mission.toml          what it may do\n\n"
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 a finding (refused, broken, mistakes), 4 vault locked, 5 unreachable.\n"
    "Environment: SANCTUM_PROFILE, SANCTUM_CONFIG, NO_COLOR, XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME.";

const std::vector<std::string> kShells = {"bash", "zsh", "fish"};
const std::vector<std::string> kPages = {"sanctum", "sanctum-run", "sanctum-profile", "sanctum-config"};
const std::vector<std::string> kSchemas = {"profile", "configuration"};

constexpr const char* kVaultHelp =
    R"(The sealed store of credentials. No value is ever printed.
Usage: sanctum vault init|add|list|remove|backup|restore|unlock|lock [OPTIONS]

  init     make the store (--key-file FILE opens it without a passphrase)
  add      put a credential into it (typed without echo, or from standard input)
  list     names and dates, never values
  remove   take one out
  backup   copy the store to a file, sealed as it is
  restore  put such a copy in its place (a store that is there stays beside it)
  unlock   keep the store open in the kernel's keyring for a time (--for 8h)
  lock     forget it again

Example:
  sanctum vault init --key-file /etc/sanctum/store.key
  sanctum vault add github < token.txt
)";

// Adds commands and remembers which one the user chose.
class CommandLine {
public:
    explicit CommandLine(Console& console)
        : console_(console), app_("Sanctum: what agents may do, did, and may no more.") {
        app_.name("sanctum");
        app_.require_subcommand(1);
        app_.footer(kExitCodes);
        app_.set_version_flag("--version", std::string("sanctum ") + version());
        add_profile_commands();
        add_mission_commands();
        add_audit_commands();
        add_machine_commands();
        add_account_commands();
        add_writing_commands();
        add_vault();
        refuse_empty_values(app_);
    }

    Exit run(std::vector<std::string> arguments) {
        if (const std::string unknown = find_unknown_command(arguments); !unknown.empty()) {
            return fail(console_, unknown, Exit::Usage);
        }
        std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
        try {
            app_.parse(arguments);
        } catch (const CLI::Success& asked_for_help) {
            return app_.exit(asked_for_help, console_.out, console_.err) == 0 ? Exit::Ok : Exit::Usage;
        } catch (const CLI::ParseError& error) {
            return fail(console_,
                        ledger::printable(describe_mistake(app_, error)) + " (" + parsed_command(app_) + " --help)",
                        Exit::Usage);
        }
        return chosen_ ? chosen_() : Exit::Usage;
    }

private:
    // Empty, or what is wrong with the first word where a command is expected, with the one that was meant.
    [[nodiscard]] std::string find_unknown_command(const std::vector<std::string>& arguments) const {
        const CLI::App* at = &app_;
        std::string path = "sanctum";
        for (const std::string& word : arguments) {
            std::vector<std::string> names;
            const CLI::App* named = nullptr;
            for (const CLI::App* known : at->get_subcommands([](const CLI::App*) { return true; })) {
                names.push_back(known->get_name());
                if (known->get_name() == word) named = known;
            }
            if (names.empty() || word.starts_with('-')) return {};
            if (named == nullptr) {
                const std::string near = nearest(word, names);
                return "unknown command '" + ledger::printable(word) + "' (" +
                       (near.empty() ? "" : "did you mean `" + near + "`? ") + path + " --help lists them)";
            }
            at = named;
            path += " " + word;
        }
        return {};
    }

    CLI::App* command(CLI::App& parent, const char* name, const char* what, const char* example,
                      std::function<Exit()> run) {
        CLI::App* added = parent.add_subcommand(name, what);
        added->footer(std::string("Example:\n  ") + example);
        added->callback([this, run = std::move(run)] { chosen_ = run; });
        return added;
    }

    static void json(CLI::App* command, Format& format) {
        command->add_flag_callback("--json", [&format] { format = Format::Json; },
                                   "Print JSON (one document, or one line each) with a `schema` member");
    }

    void add_profile_commands() {
        CLI::App* init = command(app_, "init", "Write mission.toml here for an agent, and trust it",
                                 "sanctum init --agent claude", [this] { return run_init(console_, init_); });
        init->add_option("--agent", init_.agent, "claude, codex, git or generic")
            ->check(CLI::IsMember({"claude", "codex", "git", "generic"}))
            ->capture_default_str();
        init->add_flag("--print", init_.prints, "Print the file instead; nothing is written or trusted");

        CLI::App* check = command(app_, "check", "Find mistakes in a profile and say what it exposes",
                                  "sanctum check mission.toml", [this] { return run_check(console_, check_); });
        CLI::Option* checked =
            check->add_option("FILE|NAME", check_.file, "Profile: a path, or a name out of --list");
        CLI::Option* names =
            check->add_flag("--list", check_.lists, "Print the names of shipped profiles and of the operator's own");
        names->excludes(checked);
        check->callback([this, checked, names] {
            if (checked->count() + names->count() == 0) throw CLI::RequiredError("FILE or --list");
            chosen_ = [this] { return run_check(console_, check_); };
        });
        json(check, check_.format);

        CLI::App* explain =
            command(app_, "explain", "Say what a profile permits, what a request would get, or why one was refused",
                    "sanctum explain mission.toml\n"
                    "  sanctum explain mission.toml POST https://api.github.com/repos/acme/api/issues\n"
                    "  sanctum explain 01kabcdefghjkmnpqrstvwxyz0-e12\n"
                    "  sanctum explain last-e1",
                    [this] { return run_explain(console_, explain_); });
        explain->add_option("FILE|DECISION", explain_.subject, "Profile, or a decision's id; `last-eN` as well")
            ->required();
        CLI::Option* method = explain->add_option("METHOD", explain_.method, "Such as GET");
        CLI::Option* url = explain->add_option("URL", explain_.url, "Such as https://api.github.com/user");
        method->needs(url);
        explain->add_option("--ref", explain_.refs, "Branch or ref that a git push updates; may be repeated");
        explain->add_flag("--delete", explain_.deletes, "The push deletes these refs");
        json(explain, explain_.format);

        CLI::App* schema = command(app_, "schema", "Print the JSON Schema of profiles or of the configuration",
                                   "sanctum schema > mission-1.json\n  sanctum schema configuration",
                                   [this] { return run_schema(console_, word_); });
        schema->add_option("FORMAT", word_, "profile (default) or configuration")->check(CLI::IsMember(kSchemas));

        CLI::App* trust = command(app_, "trust", "Let a profile be used as it is now (path and content are pinned)",
                                  "sanctum trust mission.toml\n  sanctum trust --list",
                                  [this] { return run_trust(console_, trust_); });
        CLI::Option* file = trust->add_option("FILE", trust_.file, "Profile");
        CLI::Option* list = trust->add_flag("--list", trust_.lists, "Print what is trusted");
        CLI::Option* remove = trust->add_option("--remove", trust_.removed, "No longer trust this file");
        remove->type_name("FILE");
        file->excludes(list)->excludes(remove);
        list->excludes(remove);
        trust->add_flag("--dry-run", trust_.is_dry, "Only say what would be done");
        json(trust, trust_.format);
    }

    void add_mission_commands() {
        CLI::App* ps = command(app_, "ps", "List missions that are running", "sanctum ps --json",
                               [this] { return run_ps(console_, ps_); });
        ps->add_flag("-a,--all", ps_.shows_all, "Ended missions too");
        json(ps, ps_.format);

        CLI::App* show = command(app_, "show", "Show a mission: processes and places while it runs, then its receipt",
                                 "sanctum show\n  sanctum show 01kabc --json",
                                 [this] { return run_show(console_, show_); });
        mission_or_last(show, show_.mission);
        json(show, show_.format);

        CLI::App* revoke = command(app_, "revoke", "End a mission now and take its credentials back",
                                   "sanctum revoke last\n"
                                   "  sanctum revoke last --service github\n"
                                   "  sanctum revoke --service github\n"
                                   "  sanctum revoke --all",
                                   [this] { return run_revoke(console_, revoke_); });
        CLI::Option* one = revoke->add_option("MISSION", revoke_.mission, "Id, unique beginning of one, or `last`");
        CLI::Option* all = revoke->add_flag("--all", revoke_.revokes_all, "Every mission that runs");
        one->excludes(all);
        CLI::Option* service =
            revoke->add_option("--service", revoke_.service,
                               "Only this service, of MISSION or of every one that has it; they go on without it")
                ->type_name("SERVICE");
        revoke->add_flag("--dry-run", revoke_.is_dry, "Only say which would end");
        revoke->callback([this, one, all, service] {
            const bool names_what = one->count() + all->count() + service->count() > 0;
            if (!names_what) throw CLI::RequiredError("MISSION, --service or --all");
            chosen_ = [this] { return run_revoke(console_, revoke_); };
        });

        CLI::App* accept = command(app_, "accept", "Release files that were held back since somebody runs them later",
                                   "sanctum accept last --dry-run", [this] { return run_accept(console_, accept_); });
        mission(accept, accept_.mission);
        accept->add_flag("--dry-run", accept_.is_dry, "Only list them");
        json(accept, accept_.format);
    }

    void add_audit_commands() {
        CLI::App* audit = app_.add_subcommand("audit", "Read and verify the record of missions");
        audit->require_subcommand(1);
        audit->footer("Example:\n  sanctum audit list --since 7d\n  sanctum audit verify");
        CLI::App* list = command(*audit, "list", "List missions, ended ones from the chain of receipts",
                                 "sanctum audit list --agent triage-bot --since 7d",
                                 [this] { return run_audit_list(console_, audit_list_); });
        list->add_option("--agent", audit_list_.agent, "Only missions of this agent")->type_name("NAME");
        list->add_option("--since", audit_list_.since, "Only missions that started within this time, like 12h or 7d")
            ->type_name("TIME");
        json(list, audit_list_.format);

        CLI::App* show = command(*audit, "show", "Print every record of a mission, and its receipt in words",
                                 "sanctum audit show last", [this] { return run_audit_show(console_, audit_show_); });
        mission_or_last(show, audit_show_.mission);
        json(show, audit_show_.format);

        CLI::App* verify =
            command(*audit, "verify", "Check chain, signatures and receipts; without a mission, all of this machine",
                    "sanctum audit verify\n  sanctum audit verify last --at-least 812:9c0f...",
                    [this] { return run_audit_verify(console_, audit_verify_); });
        verify->add_option("MISSION", audit_verify_.missions, "Ids, unique beginnings, or `last`");
        verify->add_option("--at-least", audit_verify_.at_least, "A head (SEQ:HASH) that must still be there");
        json(verify, audit_verify_.format);
    }

    void add_machine_commands() {
        CLI::App* reap = command(app_, "reap", "Finish missions whose supervisor died: credentials, ledgers, receipts",
                                 "sanctum reap\n  sanctum reap --forget 01kabcdefghjkmnpqrstvwxyz0/l3",
                                 [this] { return run_reap(console_, reap_); });
        reap->add_flag("--background", reap_.is_background, "Silent, in a session of its own");
        CLI::Option* dry = reap->add_flag("--dry-run", reap_.is_dry, "Only say what would be done");
        reap->add_option("--forget", reap_.forgotten,
                         "Only this: a credential that may be alive is over, you say (see `sanctum leases`)")
            ->type_name("MISSION/LEASE")
            ->excludes(dry);
        json(reap, reap_.format);

        CLI::App* leases = command(app_, "leases", "List credentials that may be alive, and how far each lease is",
                                   "sanctum leases --all", [this] { return run_leases(console_, leases_); });
        leases->add_flag("--all", leases_.lists_all, "Those that have ended, too");
        json(leases, leases_.format);

        CLI::App* prune = command(app_, "prune", "Remove the records of missions that ended long ago; receipts stay",
                                  "sanctum prune --older 400d --dry-run",
                                  [this] { return run_prune(console_, prune_); });
        prune->add_option("--older", prune_.older,
                          "Missions that ended longer ago (default 400d; never below the operator's [ledger] keep)")
            ->type_name("TIME");
        prune->add_flag("--dry-run", prune_.is_dry, "Only say what would go");
        json(prune, prune_.format);

        CLI::App* doctor = command(app_, "doctor", "Say what this machine enforces and how to mend what is missing",
                                   "sanctum doctor --json", [this] { return run_doctor(console_, doctor_); });
        doctor->add_flag("--plain", doctor_.is_plain, "Words instead of signs");
        json(doctor, doctor_.format);

        CLI::App* version = command(app_, "version", "Print version and build", "sanctum version --json",
                                    [this] { return run_version(console_, version_); });
        json(version, version_);
    }

    void add_account_commands() {
        CLI::App* accounts = command(app_, "accounts", "List accounts: consents, profiles that use them, last use",
                                     "sanctum accounts --scopes", [this] { return run_accounts(console_, accounts_); });
        accounts->add_flag("--scopes", accounts_.shows_scopes, "What was consented to, and which profile grants what");
        json(accounts, accounts_.format);

        CLI::App* connect = command(app_, "connect", "Get a person's consent for an account, and keep it sealed",
                                    "sanctum connect calendar\n"
                                    "  sanctum connect calendar --flow device --scopes read,write",
                                    [this] { return run_connect(console_, connect_); });
        connect->add_option("ACCOUNT", connect_.account, "An account with source = \"oauth\", \"auth0\" or \"login\", "
                                                         "or \"github-app\" with a provider")
            ->required();
        connect->add_option("--scopes", connect_.scopes, "What to ask for, instead of the account's `grant`")
            ->delimiter(',')
            ->allow_extra_args(false)
            ->type_name("A,B");
        connect
            ->add_option("--flow", connect_.flow, "device: with a browser anywhere; browser: with one on this machine")
            ->check(CLI::IsMember({"device", "browser"}));
        connect->add_flag("--no-browser", connect_.has_no_browser,
                          "Start no browser; the address is printed either way");
        connect->add_option("--port", connect_.port, "Port of 127.0.0.1 that the browser comes back to (default: any)")
            ->type_name("PORT");
        connect->add_option("--unlock", connect_.unlock, "How the store opens, instead of the configuration's word")
            ->type_name("HOW");
        connect->add_flag("--dry-run", connect_.is_dry, "Only say what would be asked for and stored");
    }

    void add_writing_commands() {
        CLI::App* completion = command(app_, "completion", "Print a completion script for a shell",
                                       "sanctum completion bash > ~/.sanctum-completion",
                                       [this] { return run_completion(console_, word_, describe_command_line(app_)); });
        completion->add_option("SHELL", word_, "bash, zsh or fish")->required()->check(CLI::IsMember(kShells));
        CLI::App* manual = command(app_, "manual", "Print a manual page, in the form that man(1) reads",
                                   "sanctum manual sanctum-run | man -l -",
                                   [this] { return run_manual(console_, word_, describe_command_line(app_)); });
        manual->add_option("PAGE", word_, "sanctum, sanctum-run, sanctum-profile or sanctum-config")
            ->required()
            ->check(CLI::IsMember(kPages));
    }

    void add_vault() {
        // Only listed here; run_console() hands the words on before this parser sees them.
        app_.add_subcommand("vault", "The sealed store of credentials: init, add, list, backup, ...");
    }

    static void mission(CLI::App* command, std::string& id) {
        command->add_option("MISSION", id, "Id, unique beginning of one, or `last`")->required();
    }

    // What only reads may do without a name.
    static void mission_or_last(CLI::App* command, std::string& id) {
        id = "last";
        command->add_option("MISSION", id, "Id, unique beginning of one, or `last`")->capture_default_str();
    }

    Console& console_;
    CLI::App app_;
    std::function<Exit()> chosen_;
    InitOptions init_;
    CheckOptions check_;
    ExplainOptions explain_;
    TrustOptions trust_;
    PsOptions ps_;
    MissionOptions show_;
    RevokeOptions revoke_;
    AcceptOptions accept_;
    MissionOptions audit_show_;
    AuditListOptions audit_list_;
    AuditVerifyOptions audit_verify_;
    PruneOptions prune_;
    std::string word_;  // of completion and manual
    ConnectOptions connect_;
    AccountsOptions accounts_;
    LeasesOptions leases_;
    ReapOptions reap_;
    DoctorOptions doctor_;
    Format version_ = Format::Words;
};

}  // namespace

Exit run_console(const std::vector<std::string>& arguments, Console& console) {
    if (!arguments.empty() && arguments.front() == "vault") {
        const bool wants_help = arguments.size() == 1 || arguments[1] == "--help" || arguments[1] == "-h";
        if (!wants_help) return run_vault(console, {arguments.begin() + 1, arguments.end()});
        console.out << kVaultHelp;
        return arguments.size() == 1 ? Exit::Usage : Exit::Ok;
    }
    if (!arguments.empty() && arguments.front() == "help") {
        std::vector<std::string> asked(arguments.begin() + 1, arguments.end());
        asked.emplace_back("--help");
        return run_console(asked, console);
    }
    return CommandLine(console).run(arguments);
}

}  // namespace sanctum::console
