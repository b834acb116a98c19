// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/console/console_fixture.hpp"

#include "base/wire/archive.hpp"
#include "console/missions.hpp"

#include <gmock/gmock.h>


namespace sanctum::console::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kProfile = R"(schema = 1
[mission]
name = "t"
purpose = "p"
ttl = "5m"
[sandbox]
workspace = "."
[[host]]
name  = "pypi.org"
match = ["GET /simple/**"]
)";

using Help = ConsoleTest;
TEST_F(Help, EveryCommandHasAnExample) {
    for (const std::string name : {"init", "check", "explain", "schema", "trust", "ps", "show", "revoke", "accept",
                                   "audit", "prune", "reap", "doctor", "completion", "manual", "version",
                                   "vault"}) {
        EXPECT_EQ(run({name, "--help"}), Exit::Ok) << name;
        EXPECT_THAT(out(), HasSubstr("Example:\n  sanctum " + name)) << name;
    }
}

TEST_F(Help, IsACommandToo) {
    EXPECT_EQ(run({"help"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("Exit codes:"));
    EXPECT_EQ(run({"help", "audit", "list"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("--since"));
    EXPECT_EQ(run({"help", "vault"}), Exit::Ok);
    EXPECT_EQ(run({"help", "frobnicate"}), Exit::Usage);
}

TEST_F(Help, AnUnknownCommandOrOptionIsAUsageError) {
    EXPECT_EQ(run({"frobnicate"}), Exit::Usage);
    EXPECT_THAT(err(), HasSubstr("unknown command 'frobnicate'"));
    EXPECT_EQ(run({"ps", "--frobnicate"}), Exit::Usage);
    EXPECT_EQ(run({}), Exit::Usage);
    EXPECT_THAT(err(), HasSubstr("(sanctum --help)"));
    EXPECT_EQ(run({"revoke"}), Exit::Usage);
    EXPECT_THAT(err(), HasSubstr("sanctum: MISSION, --service or --all is required (sanctum revoke --help)"));
    EXPECT_EQ(run({"audit", "show", "--frobnicate"}), Exit::Usage);
    EXPECT_THAT(err(), HasSubstr("(sanctum audit show --help)"));
    EXPECT_EQ(run({"explain", "mission.toml", "GET"}), Exit::Usage);
}

using Check = ConsoleTest;
TEST_F(Check, AGoodProfilePrintsItsExposure) {
    write(path("mission.toml"), kProfile);

    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("no mistakes (not trusted)"));
    EXPECT_THAT(out(), HasSubstr("exposure"));
    EXPECT_THAT(out(), HasSubstr("approval_unavailable"));
}

TEST_F(Check, AMistakeIsAFindingWithItsPlace) {
    write(path("mission.toml"), std::string(kProfile) + "frob = 1\n");

    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Finding);
    EXPECT_THAT(err(), HasSubstr("mission.toml:11:1"));
    EXPECT_EQ(run({"check", "--json", path("mission.toml")}), Exit::Finding);
    EXPECT_TRUE(wire::JsonText::parse(out()));
}

TEST_F(Check, AMissingFileIsAFailureAndNoFinding) {
    EXPECT_EQ(run({"check", path("nothing.toml")}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("nothing.toml"));
}

using Explain = ConsoleTest;
TEST_F(Explain, AnAllowedRequestNamesItsLineAndIsZero) {
    write(path("mission.toml"), kProfile);

    EXPECT_EQ(run({"explain", path("mission.toml"), "GET", "https://pypi.org/simple/x"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("allow\n"));
    EXPECT_THAT(out(), HasSubstr("mission.toml:8"));
}

TEST_F(Explain, ARefusedRequestIsAFindingWithItsReason) {
    write(path("mission.toml"), kProfile);

    EXPECT_EQ(run({"explain", path("mission.toml"), "GET", "https://evil.test/"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("deny: host_unknown"));
    EXPECT_EQ(run({"explain", path("mission.toml"), "GET", "https://pypi.org/simple/../x"}), Exit::Finding);
    EXPECT_THAT(err(), HasSubstr("request_invalid"));
}

TEST_F(Explain, ADecisionIsFoundInItsLedgerAndShownSafely) {
    run_sealed_mission();

    EXPECT_EQ(run({"explain", std::string(kMission) + "-e1"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("refused: host_unknown (status 403)"));
    EXPECT_THAT(out(), HasSubstr("/usr/bin/\\x1b[31mcurl"));
    EXPECT_THAT(out(), Not(HasSubstr("\x1b")));
    EXPECT_EQ(run({"explain", std::string(kMission) + "-e2"}), Exit::Failed);
    EXPECT_EQ(run({"explain", "--json", std::string(kMission) + "-e1"}), Exit::Ok);
    const std::string by_id = out();
    EXPECT_TRUE(wire::JsonText::parse(by_id));
    EXPECT_EQ(run({"explain", "--json", "last-e1"}), Exit::Ok) << err();
    EXPECT_EQ(out(), by_id);
    EXPECT_EQ(run({"explain", "last-e2"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr(kMission));
}

using Trust = ConsoleTest;
TEST_F(Trust, APinIsMadeListedAndRemoved) {
    write(path("mission.toml"), kProfile);

    EXPECT_EQ(run({"trust", "--dry-run", path("mission.toml")}), Exit::Ok) << err();
    EXPECT_EQ(run({"trust", "--list"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("no profile"));
    EXPECT_EQ(run({"trust", path("mission.toml")}), Exit::Ok) << err();
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("(trusted)"));
    write(path("mission.toml"), std::string(kProfile) + "# changed\n");
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("changed since it was trusted"));
    EXPECT_EQ(run({"trust", "--remove", path("mission.toml")}), Exit::Ok) << err();
    EXPECT_EQ(run({"trust", "--list", "--json"}), Exit::Ok);
    EXPECT_EQ(out(), "");
}

using CheckList = ConsoleTest;
TEST_F(CheckList, PrintsEachNameThatAProfileIsFoundBy) {
    write(console_.places.trusted_profiles + "/mine.toml", kProfile);
    write(console_.places.trusted_profiles + "/notes.txt", "");

    EXPECT_EQ(run({"check", "--list"}), Exit::Ok) << err();

    EXPECT_EQ(out(), "claude\ncodex\ngeneric\ngit\nmine\nquickstart\n");
    EXPECT_EQ(run({"check", "--list", "--json"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(R"({"schema":"sanctum.check.list/1","name":"mine","path":")" +
                                 console_.places.trusted_profiles + "/mine.toml\"}"));
    EXPECT_EQ(run({"check"}), Exit::Usage);
    EXPECT_EQ(run({"check", "--list", "mine"}), Exit::Usage);
}

using CommandNames = ConsoleTest;
TEST_F(CommandNames, AMisspelledOneIsAnsweredWithTheOneThatWasMeant) {
    for (const auto& [words, meant] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"chekc", "mission.toml"}, "unknown command 'chekc' (did you mean `check`? sanctum --help lists them)"},
             {{"audit", "lsit"}, "unknown command 'lsit' (did you mean `list`? sanctum audit --help lists them)"},
             {{"audit", "frobnicate"}, "unknown command 'frobnicate' (sanctum audit --help lists them)"}}) {
        EXPECT_EQ(run(words), Exit::Usage);
        EXPECT_EQ(err(), "sanctum: " + meant + "\n");
    }
    EXPECT_EQ(run({"audit"}), Exit::Usage);
    EXPECT_THAT(err(), HasSubstr("A subcommand is required"));
}

TEST_F(CommandNames, AMistypedOptionIsAnsweredWithTheOneThatWasMeant) {
    for (const auto& [words, said] : std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"prune", "--olde", "1d"}, "unknown option `--olde`: did you mean `--older`? (sanctum prune --help)"},
             {{"prune", "--olde=1d"}, "unknown option `--olde`: did you mean `--older`? (sanctum prune --help)"},
             {{"audit", "list", "--sicne", "1d"},
              "unknown option `--sicne`: did you mean `--since`? (sanctum audit list --help)"},
             {{"--frob"}, "unknown option `--frob` (sanctum --help)"},
             {{"audit", "--frob"}, "unknown option `--frob` (sanctum audit --help)"},
             {{"prune", "--since", "1d"}, "unknown option `--since` (sanctum prune --help)"},
             {{"prune", "one", "two"}, "not expected: one two (sanctum prune --help)"}}) {
        EXPECT_EQ(run(words), Exit::Usage);
        EXPECT_EQ(err(), "sanctum: " + said + "\n");
    }
}

TEST_F(CommandNames, AnEmptyValueIsRefusedAndNotTakenForNoValue) {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"prune", "--dry-run", "--older", ""},
                                                  {"audit", "list", "--since", ""},
                                                  {"revoke", "--service", ""},
                                                  {"show", ""}}) {
        EXPECT_EQ(run(words), Exit::Usage) << words.front();
        EXPECT_THAT(err(), HasSubstr(": its value is empty (sanctum " + words.front()));
    }
}

using Init = ConsoleTest;
TEST_F(Init, WhatItWritesPassesCheckAndIsTrusted) {
    for (const std::string agent : {"claude", "codex", "git", "generic"}) {
        std::filesystem::remove(path("mission.toml"));
        ASSERT_EQ(run({"init", "--agent", agent}), Exit::Ok) << agent << err();
        ASSERT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << agent << err();
        EXPECT_THAT(out(), HasSubstr("(trusted)")) << agent;
    }
}

TEST_F(Init, ItNeverOverwrites) {
    write(path("mission.toml"), "mine");

    EXPECT_EQ(run({"init"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("exists already"));
    EXPECT_EQ(read(path("mission.toml")), "mine");
    EXPECT_EQ(run({"init", "--print"}), Exit::Ok);
}

TEST_F(Init, WhereNoMissionCouldRunNothingIsWrittenAndCheckSaysWhy) {
    ASSERT_EQ(run({"init", "--print"}), Exit::Ok) << err();
    const std::string text = out();
    for (const auto& [home, why] : {std::pair{"/work", "is your home folder (name a folder in it)"},
                                    {"/work/", "is your home folder"}, {"/work/u", "holds your home folder"}}) {
        console_.environment["HOME"] = folder_ + home;
        EXPECT_EQ(run({"init"}), Exit::Failed) << home;
        EXPECT_THAT(err(), HasSubstr(why));
        EXPECT_FALSE(std::filesystem::exists(path("mission.toml"))) << home;
        EXPECT_FALSE(std::filesystem::exists(console_.places.trust())) << home;
        EXPECT_EQ(run({"init", "--print"}), Exit::Ok) << "for another folder";

        write(path("mission.toml"), text);
        EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
        EXPECT_THAT(out(), HasSubstr("note: it cannot run from this folder: workspace"));
        EXPECT_THAT(out(), HasSubstr(why));
        std::filesystem::remove(path("mission.toml"));
    }
    console_.environment["HOME"] = folder_ + "/wor";
    EXPECT_EQ(run({"init"}), Exit::Ok) << err();
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
    EXPECT_THAT(out(), Not(HasSubstr("cannot run")));
}

TEST_F(Init, WhatCannotBeTrustedIsNotLeftBehind) {
    const auto group_writes = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    std::filesystem::permissions(folder_ + "/work", group_writes, std::filesystem::perm_options::add);
    EXPECT_EQ(run({"init"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("can be changed by other users"));
    EXPECT_FALSE(std::filesystem::exists(path("mission.toml")));
    std::filesystem::permissions(folder_ + "/work", group_writes, std::filesystem::perm_options::remove);

    write(console_.places.trust(), "no pins");
    EXPECT_EQ(run({"init", "--agent", "codex"}), Exit::Failed);
    EXPECT_FALSE(std::filesystem::exists(path("mission.toml"))) << err();
    std::filesystem::remove(console_.places.trust());

    EXPECT_EQ(run({"init", "--agent", "codex"}), Exit::Ok) << err();
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
}

TEST_F(Init, TheOperatorsAccountIsUsedWhenThereIsOne) {
    write(console_.places.configuration,
          "schema = 1\n[[account]]\nname = \"team\"\ncatalog = \"anthropic\"\nsource = \"local\"\nitem = \"key\"\n");

    ASSERT_EQ(run({"init", "--agent", "claude"}), Exit::Ok) << err();
    EXPECT_THAT(read(path("mission.toml")), HasSubstr("\naccount = \"team\"\n"));
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
}

TEST_F(Init, ClaudesOwnSandboxIsSwitchedOffInItsKeptHome) {
    ASSERT_EQ(run({"init", "--agent", "claude"}), Exit::Ok) << err();

    EXPECT_THAT(read(console_.places.state + "/homes/claude-code/.claude/settings.json"),
                HasSubstr(R"("enabled": false)"));
    const Result<wire::JsonText> answers =
        wire::JsonText::parse(read(console_.places.state + "/homes/claude-code/.claude.json"));
    ASSERT_TRUE(answers);
    const std::string text = read(console_.places.state + "/homes/claude-code/.claude.json");
    EXPECT_THAT(text, HasSubstr("held-by-sanctum"));
    EXPECT_THAT(text, HasSubstr("{\"" + std::filesystem::canonical(console_.working_directory).string() + "\": {"));
}

TEST_F(Init, CodexsSandboxAndWebSocketAreSwitchedOffInItsKeptHome) {
    ASSERT_EQ(run({"init", "--agent", "codex"}), Exit::Ok) << err();

    const std::string settings = read(console_.places.state + "/homes/codex/.codex/config.toml");
    EXPECT_THAT(settings, HasSubstr("sandbox_mode = \"danger-full-access\""));
    EXPECT_THAT(settings, HasSubstr("supports_websockets = false"));
}

TEST_F(Init, SettingsThatAreThereAlreadyStay) {
    write(console_.places.state + "/homes/codex/.codex/config.toml", "model = \"mine\"\n");

    ASSERT_EQ(run({"init", "--agent", "codex"}), Exit::Ok) << err();

    EXPECT_EQ(read(console_.places.state + "/homes/codex/.codex/config.toml"), "model = \"mine\"\n");
}

TEST_F(Init, GitsSettingsOfTheUserAreReadInsideWithTheFilesThatTheyName) {
    const std::string home = folder_ + "/home";
    write(home + "/.gitconfig", "[user]\n\tname = A\n[core]\n\thooksPath = ~/.githooks\n\texcludesFile = ~/none\n");
    write(home + "/.githooks/pre-commit", "#!/bin/sh\n");
    write(home + "/.config/git/config", "[init]\n\tdefaultBranch = main\n[core]\n\thooksPath = " + home +
                                            "/.githooks\n\tattributesFile = ~\n");

    ASSERT_EQ(run({"init"}), Exit::Ok) << err();

    EXPECT_THAT(read(path("mission.toml")),
                HasSubstr("\nread        = [\"~/.gitconfig\", \"~/.githooks\", \"~/.config/git/config\"]\n"));
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
}

TEST_F(Init, SettingsOfGitThatMayHoldASecretStayOutsideUntilTheirOwnerSaysSo) {
    for (const auto& [line, doubt] : std::vector<std::pair<std::string, std::string>>{
             {"[credential]\n\thelper = store", "credential.helper"},
             {"[http \"https://git.example.com\"]\n\textraHeader = Authorization: x", "http.extraheader"},
             {"[url \"https://me:secret@git.example.com/\"]\n\tinsteadOf = g:", "url.insteadof"},
             {"[include]\n\tpath = ~/work.gitconfig", "include.path"},
             {"[user", "~/.gitconfig"}}) {
        std::filesystem::remove(path("mission.toml"));
        write(folder_ + "/home/.gitconfig", "[user]\n\tname = A\n" + line + "\n");

        ASSERT_EQ(run({"init"}), Exit::Ok) << err();

        const std::string text = read(path("mission.toml"));
        EXPECT_THAT(text, Not(HasSubstr("\nread "))) << doubt;
        EXPECT_THAT(text, HasSubstr("a secret may be in: " + doubt + "."));
        EXPECT_THAT(text, HasSubstr("\n# read        = [\"~/.gitconfig\"]\n"));
        EXPECT_THAT(text, Not(HasSubstr("me:secret")));
        EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
    }
}

TEST_F(Init, ThePathNamesTheFoldersInWhichTheAgentWasFound) {
    std::filesystem::create_directories(path("tools"));
    write(path("tools/codex"), "#!/bin/sh\n");
    std::filesystem::permissions(path("tools/codex"), std::filesystem::perms::owner_all);
    const std::string tools = std::filesystem::canonical(path("tools")).string();
    console_.environment["PATH"] = tools;

    ASSERT_EQ(run({"init", "--agent", "codex"}), Exit::Ok) << err();

    EXPECT_THAT(read(path("mission.toml")), HasSubstr("PATH = \"" + tools + ":/usr/local/sbin:"));
    EXPECT_EQ(run({"check", path("mission.toml")}), Exit::Ok) << err();
}

using Audit = ConsoleTest;
TEST_F(Audit, AMachineWithoutMissionsHasNothingToFind) {
    EXPECT_EQ(run({"audit", "verify"}), Exit::Ok) << err();
    EXPECT_EQ(out(), "no missions\n");
}

TEST_F(Audit, ASealedMissionVerifiesAndAChangedOneIsAFinding) {
    run_sealed_mission();
    EXPECT_EQ(run({"audit", "verify"}), Exit::Ok) << out() << err();
    EXPECT_THAT(out(), HasSubstr("sealed"));
    const std::string path = console_.places.mission(kMission) + "/ledger.jsonl";
    std::string changed = read(path);
    changed.replace(changed.find("host_unknown"), 4, "most");
    write(path, changed);

    EXPECT_EQ(run({"audit", "verify", "last"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("broken at record 3"));
    EXPECT_EQ(run({"audit", "show", "last"}), Exit::Finding);
}

TEST_F(Audit, AWholeMissionThatDisappearedIsAFinding) {
    run_sealed_mission();
    run_sealed_mission("01kabcdefghjkmnpqrstvwxyz1");
    std::filesystem::remove_all(console_.places.mission(kMission));

    EXPECT_EQ(run({"audit", "verify"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " missing"));
}

TEST_F(Audit, ShowPrintsEveryRecordInPrintableWords) {
    run_sealed_mission();

    EXPECT_EQ(run({"audit", "show", "01kabc"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("e1 refused: host_unknown: GET evil.test/x"));
    EXPECT_THAT(out(), Not(HasSubstr("\x1b")));
}

TEST_F(Audit, ShowAsJsonIsLinesWithASchemaFirst) {
    run_sealed_mission();

    EXPECT_EQ(run({"audit", "show", "last", "--json"}), Exit::Ok) << err();
    std::istringstream lines(out());
    std::string first;
    std::getline(lines, first);
    EXPECT_THAT(first, HasSubstr(R"("schema":"sanctum.audit.show/1")"));
    for (std::string line; std::getline(lines, line);) EXPECT_TRUE(wire::JsonText::parse(line)) << line;
}

using Show = ConsoleTest;
TEST_F(Show, AnEndedMissionShowsItsReceipt) {
    run_sealed_mission();

    EXPECT_EQ(run({"show", "last"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("Refused      1 request (host_unknown 1)"));
    EXPECT_THAT(out(), HasSubstr("State        sealed"));
    EXPECT_EQ(run({"show", "last", "--json"}), Exit::Ok);
    EXPECT_TRUE(wire::JsonText::parse(out()));
}

TEST_F(Show, ALivingMissionThatDoesNotAnswerIsUnreachable) {
    const auto ledger = begin_mission();

    EXPECT_EQ(run({"show", "last"}), Exit::Unreachable);
    EXPECT_EQ(run({"revoke", "last"}), Exit::Unreachable);
    EXPECT_EQ(run({"revoke", "--service", "git"}), Exit::Unreachable) << "it may have it";
}

TEST_F(Show, AWordThatMeansNoMissionOrSeveralIsRefused) {
    run_sealed_mission();
    run_sealed_mission("01kabcdefghjkmnpqrstvwxyz1");

    EXPECT_EQ(run({"show", "01kabc"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("2 missions"));
    EXPECT_EQ(run({"show", "zzz"}), Exit::Failed);
    EXPECT_EQ(run({"show", "../../x"}), Exit::Failed);
    EXPECT_EQ(*find_mission(console_.places, "last"), "01kabcdefghjkmnpqrstvwxyz1");
}

TEST_F(Show, AMissionThatEndedCannotBeRevoked) {
    run_sealed_mission();

    EXPECT_EQ(run({"revoke", "last"}), Exit::Failed);
    EXPECT_EQ(run({"revoke", "--all"}), Exit::Ok);
    EXPECT_EQ(run({"revoke", "--service", "git"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("no mission that has service git is running"));
}

using Reap = ConsoleTest;
TEST_F(Reap, ADeadMissionIsSealedAndASecondTimeChangesNothing) {
    begin_mission().reset();
    vault_says("");

    EXPECT_EQ(run({"reap", "--dry-run"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("would-recover"));
    EXPECT_EQ(run({"reap"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " recovered: ledger sealed"));
    EXPECT_EQ(run({"audit", "verify"}), Exit::Ok) << out();
    EXPECT_EQ(run({"reap"}), Exit::Ok);
    EXPECT_EQ(out(), "");
}

TEST_F(Reap, TheVaultsLeaseEndsAreRecorded) {
    begin_mission().reset();
    wire::LeaseChanged lease;
    lease.lease = "l1";
    lease.service = "git";
    lease.account = "a";
    lease.state = "gone";
    lease.narrowed_by = "proxy";
    lease.retire = "none";
    vault_says(R"({"mission":")" + std::string(kMission) + "\"," + wire::to_json(lease).substr(1) + "\n");

    EXPECT_EQ(run({"reap"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("1 lease end(s) recorded"));
    EXPECT_EQ(run({"show", "last"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("l1 of account a for git, narrowed by proxy, "));
}

TEST_F(Reap, ALivingMissionIsLeftAlone) {
    const auto ledger = begin_mission();
    vault_says("");

    EXPECT_EQ(run({"reap"}), Exit::Ok) << err();
    EXPECT_EQ(out(), "");
}

TEST_F(Reap, WithoutTheVaultsWordNoLedgerIsCompleted) {
    begin_mission().reset();
    EXPECT_EQ(run({"reap"}), Exit::Unreachable);
    vault_says("", 1);
    EXPECT_EQ(run({"reap"}), Exit::Unreachable);
    vault_says("not json\n");
    EXPECT_EQ(run({"reap"}), Exit::Unreachable);
    EXPECT_EQ(run({"audit", "verify"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("unsealed"));
}

TEST(LookOf, ColourAndSignsFollowTheEnvironment) {
    using Environment = std::map<std::string, std::string>;
    EXPECT_TRUE(look_of({{"TERM", "xterm"}, {"LANG", "de_DE.UTF-8"}}, true).has_colour);
    EXPECT_TRUE(look_of({{"TERM", "xterm"}, {"LANG", "C.utf8"}}, true).has_utf8);
    EXPECT_FALSE(look_of({{"TERM", "xterm"}, {"LANG", "C"}}, true).has_utf8);
    EXPECT_FALSE(look_of({{"TERM", "dumb"}, {"LANG", "C.UTF-8"}}, true).has_colour);
    EXPECT_FALSE(look_of({{"NO_COLOR", "1"}}, true).has_colour);
    EXPECT_FALSE(look_of(Environment{}, false).has_colour);
    EXPECT_TRUE(look_of({{"CLICOLOR_FORCE", "1"}}, false).has_colour);
}

}  // namespace
}  // namespace sanctum::console::test
