// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/options.hpp"

#include "launcher/run/exit_codes.hpp"
#include "launcher/run/trust_question.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sanctum::launcher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

ParsedOptions parse(std::vector<std::string> arguments) { return parse_options(arguments); }

TEST(Options, EverythingBehindTheSeparatorBelongsToTheCommand) {
    const ParsedOptions parsed = parse({"--profile", "p.toml", "--", "sh", "-c", "true", "--", "--profile", "q"});

    ASSERT_TRUE(parsed.options);
    EXPECT_EQ(parsed.options->profile, "p.toml");
    EXPECT_THAT(parsed.options->command, ElementsAre("sh", "-c", "true", "--", "--profile", "q"));
}

TEST(Options, RepeatedOverridesKeepTheirOrder) {
    const ParsedOptions parsed = parse({"-c", "mission.ttl=\"1m\"", "-c", "a.b=2", "-e", "CI=1", "-e", "LANG",
                                        "--mount", "/a:/b:ro", "--", "true"});

    ASSERT_TRUE(parsed.options);
    EXPECT_THAT(parsed.options->settings, ElementsAre("mission.ttl=\"1m\"", "a.b=2"));
    EXPECT_THAT(parsed.options->environment, ElementsAre("CI=1", "LANG"));
    EXPECT_THAT(parsed.options->mounts, ElementsAre("/a:/b:ro"));
}

TEST(Options, TheDefaultsAreThoseOfAQuietOrdinaryRun) {
    const ParsedOptions parsed = parse({"--", "true"});

    ASSERT_TRUE(parsed.options);
    EXPECT_EQ(parsed.options->status_fd, -1);
    EXPECT_FALSE(parsed.options->dry_run);
    EXPECT_FALSE(parsed.options->new_session);
    EXPECT_EQ(parsed.options->talk, Talk::Normal);
}

TEST(Options, VerboseAndQuietAreHeardAndExcludeEachOther) {
    EXPECT_EQ(parse({"-v", "--", "true"}).options->talk, Talk::Verbose);
    EXPECT_EQ(parse({"-q", "--", "true"}).options->talk, Talk::Quiet);

    const ParsedOptions both = parse({"-q", "-v", "--", "true"});

    EXPECT_FALSE(both.options);
    EXPECT_EQ(both.exit_code, kExitSetupFailed);
}

TEST(Options, AMissingCommandIsExit125WithTheForm) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{}, {"--"}, {"--profile", "p.toml"}, {"--", ""}}) {
        const ParsedOptions parsed = parse(arguments);
        EXPECT_FALSE(parsed.options);
        EXPECT_EQ(parsed.exit_code, kExitSetupFailed);
        EXPECT_THAT(parsed.text, HasSubstr("-- CMD"));
    }
}

TEST(Options, ACommandWithoutTheSeparatorIsExplained) {
    const ParsedOptions parsed = parse({"--profile", "p.toml", "sh", "job.sh"});

    EXPECT_FALSE(parsed.options);
    EXPECT_THAT(parsed.text, HasSubstr("behind `--`"));
}

TEST(Options, UnknownAndUnfinishedOptionsAreExit125) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--learn", "--", "true"}, {"--prompt", "tty", "--", "true"},
          {"--status-fd", "x", "--", "true"}, {"--status-fd", "-1", "--", "true"}, {"--ttl"}}) {
        const ParsedOptions parsed = parse(arguments);
        EXPECT_FALSE(parsed.options) << arguments.front();
        EXPECT_EQ(parsed.exit_code, kExitSetupFailed);
    }
}

TEST(Options, AMistypedOptionIsNamedWithTheOneThatWasMeant) {
    EXPECT_THAT(parse({"--profle", "m", "--", "true"}).text,
                StartsWith("sanctum-run: unknown option `--profle`: did you mean `--profile`?"));
    EXPECT_THAT(parse({"--profle=m", "--", "true"}).text, HasSubstr("`--profle`: did you mean `--profile`?"));
    EXPECT_THAT(parse({"--frobnicate", "--", "true"}).text, StartsWith("sanctum-run: unknown option `--frobnicate` ("));
    EXPECT_THAT(parse({"-x", "--", "true"}).text, StartsWith("sanctum-run: unknown option `-x` ("));
    EXPECT_THAT(parse({"ls", "-l", "--", "true"}).text, StartsWith("sanctum-run: not expected: ls -l (the command"))
        << "in the order in which it was typed; these are the command's own options";
}

TEST(Options, AnEmptyValueIsRefusedAndNotTakenForNoValue) {
    for (const char* option : {"--ttl", "--profile", "--config", "--name", "--workdir", "--mount"}) {
        const ParsedOptions parsed = parse({option, "", "--", "true"});
        EXPECT_FALSE(parsed.options) << option;
        EXPECT_THAT(parsed.text, HasSubstr(std::string(option) + ": its value is empty"));
    }
    EXPECT_TRUE(parse({"--ttl", "5m", "--", "true", ""}).options) << "the command's own words may be empty";
}

TEST(Options, HelpHasAnExampleAndTheExitCodes) {
    const ParsedOptions parsed = parse({"--help"});

    EXPECT_EQ(parsed.exit_code, 0);
    EXPECT_THAT(parsed.text, HasSubstr("Example:"));
    EXPECT_THAT(parsed.text, HasSubstr("[OPTIONS] -- CMD [ARG]..."));
    EXPECT_THAT(parsed.text, HasSubstr("125 Sanctum could not set up and ran nothing"));
}

TEST(Options, AHelpThatBelongsToTheCommandIsLeftToIt) {
    const ParsedOptions parsed = parse({"--", "git", "--help"});

    ASSERT_TRUE(parsed.options);
    EXPECT_THAT(parsed.options->command, ElementsAre("git", "--help"));
}

TEST(TrustQuestion, OnlyYesIsYes) {
    for (const char* yes : {"y\n", "Y\n", " yes \n", "YES"}) EXPECT_TRUE(is_yes(yes)) << yes;
    for (const char* no : {"", "\n", "n\n", "no\n", "yy\n", "ye\n", "yes please\n"}) EXPECT_FALSE(is_yes(no)) << no;
}

TEST(TrustQuestion, TheCommandCanBeCopiedIntoAShell) {
    EXPECT_EQ(trust_command("/home/a/mission.toml"), "sanctum trust /home/a/mission.toml");
    EXPECT_EQ(trust_command("/home/a b/it's.toml"), "sanctum trust '/home/a b/it'\\''s.toml'");
    EXPECT_EQ(trust_command("/x/$(id).toml"), "sanctum trust '/x/$(id).toml'");
    EXPECT_EQ(trust_command("/it's \xc3\xbc" "1\\\x1b[2J"), R"(sanctum trust $'/it\'s \303\2741\\\033[2J')");
}

}  // namespace
}  // namespace sanctum::launcher
