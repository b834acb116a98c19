// SPDX-License-Identifier: Apache-2.0
// The JSON Schema and the loader are two descriptions of one grammar. They are compared by an independent validator
// (python3-jsonschema): on everything shipped, on every broken profile, and on every single mistyped key.
#include "base/files.hpp"
#include "base/limits.hpp"
#include "profiles/schema/operator_config.hpp"
#include "world.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::profiles {
namespace {

using test::TemporaryFolder;

const std::string kGolden = std::string(SANCTUM_SOURCE_DIR) + "/tests/unit/profiles/golden/";

// What a schema cannot say: who owns a domain.
const std::set<std::string> kBeyondSchema = {"a_wildcard_over_a_public_suffix_is_refused"};

constexpr std::string_view kValidator = R"(
import json, pathlib, sys, tomllib
import jsonschema
schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for path in sorted(pathlib.Path(sys.argv[2]).glob("*.toml")):
    try:
        document = tomllib.loads(path.read_text())
        print(path.stem, "ok" if validator.is_valid(document) else "bad")
    except tomllib.TOMLDecodeError:
        print(path.stem, "bad")
)";

// Runs a program with its output in files; its exit status, -1 when it could not be started.
int run(std::vector<std::string> words, const std::string& output, const std::string& errors) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files{};
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT, 0600);
    pid_t child = 0;
    const int failed = ::posix_spawnp(&child, arguments[0], &files, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    int status = 0;
    if (failed != 0 || ::waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Name of each corpus file → whether the schema accepts it; empty when there is no validator on this machine.
std::map<std::string, bool> validate(const TemporaryFolder& corpus, const std::string& json_schema) {
    const TemporaryFolder work;
    const std::string script = work.write("validate.py", kValidator);
    const std::string schema = work.write("schema.json", json_schema);
    const std::string answers = work.path() + "/answers";
    const std::string errors = work.path() + "/errors";
    const int status = run({"python3", script, schema, corpus.path()}, answers, errors);
    EXPECT_TRUE(status == 0 || std::getenv("SANCTUM_REQUIRE_ALL") == nullptr)
        << *read_file(errors, kSmallFileBytesMax);
    std::map<std::string, bool> out;
    if (status != 0) return out;
    const std::string text = *read_file(answers, kSmallFileBytesMax);
    std::istringstream lines(text);
    for (std::string name, answer; lines >> name >> answer;) out[name] = answer == "ok";
    return out;
}

std::vector<std::filesystem::path> files_in(const std::string& folder) {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".toml") out.push_back(entry.path());
    }
    return out;
}

std::vector<std::filesystem::path> good_files() {
    std::vector<std::filesystem::path> out = files_in(kGolden + "explain");
    for (auto& path : files_in(std::string(SANCTUM_SOURCE_DIR) + "/profiles/missions")) out.push_back(path);
    return out;
}

// Compares both on a corpus whose texts are known by name.
void expect_agreement(const std::map<std::string, std::string>& texts) {
    const TemporaryFolder corpus;
    for (const auto& [name, text] : texts) corpus.write(name + ".toml", text);
    const std::map<std::string, bool> accepted = validate(corpus, profile_json_schema());
    if (accepted.empty()) GTEST_SKIP() << "python3-jsonschema is not installed";
    ASSERT_EQ(accepted.size(), texts.size());
    for (const auto& [name, text] : texts) {
        const Result<Profile> loaded = load_profile(name + ".toml", text);
        // A schema may also say what the loader leaves to resolving, since a flag can still supply it (ttl).
        const bool is_usable = loaded.has_value() && test::resolve(text).has_value();
        if (loaded) EXPECT_TRUE(accepted.at(name) || !is_usable) << name << ": only the schema refuses it";
        else EXPECT_FALSE(accepted.at(name)) << name << ": only the loader refuses it:\n" << loaded.error().what;
    }
}

TEST(JsonSchema, AgreesWithTheLoaderOnEveryBrokenProfile) {
    std::map<std::string, std::string> texts;
    for (const auto& path : files_in(kGolden + "profile")) {
        if (!kBeyondSchema.contains(path.stem().string())) {
            texts[path.stem().string()] = *read_file(path.string(), kSmallFileBytesMax);
        }
    }
    ASSERT_GT(texts.size(), 40U);
    expect_agreement(texts);
}

TEST(JsonSchema, AndLoaderAcceptEverythingShipped) {
    const TemporaryFolder corpus;
    for (const auto& path : good_files()) {
        const std::string text = *read_file(path.string(), kSmallFileBytesMax);
        EXPECT_TRUE(load_profile(path.string(), text).has_value()) << path;
        corpus.write(path.filename().string(), text);
    }
    const std::map<std::string, bool> accepted = validate(corpus, profile_json_schema());
    if (accepted.empty()) GTEST_SKIP() << "python3-jsonschema is not installed";
    ASSERT_GE(accepted.size(), 8U);
    for (const auto& [name, is_accepted] : accepted) EXPECT_TRUE(is_accepted) << name;
}

// POL-23: a mistyped key must never be a silent default. Every key of every shipped file is mistyped once.
TEST(JsonSchema, AndLoaderRefuseEverySingleMistypedKey) {
    std::map<std::string, std::string> texts;
    for (const auto& path : good_files()) {
        const std::string text = *read_file(path.string(), kSmallFileBytesMax);
        std::size_t number = 0;
        for (std::size_t line = 0; line != std::string::npos;
             line = text.find('\n', line) == std::string::npos ? std::string::npos : text.find('\n', line) + 1) {
            const std::size_t end = text.find_first_of(" =\n", line);
            if (end == std::string::npos || end == line || !std::islower(static_cast<unsigned char>(text[line]))) {
                continue;
            }
            std::string mutated = text;
            mutated.insert(end, "x");
            const std::string name = path.stem().string() + "-" + std::to_string(number++);
            const Result<Profile> loaded = load_profile(name, mutated);
            // Budget keys are the author's; that they name nothing shows when the mission is resolved.
            if (loaded) EXPECT_FALSE(test::resolve(mutated).has_value()) << mutated.substr(line, 40);
            else texts[name] = std::move(mutated);
        }
    }
    ASSERT_GT(texts.size(), 100U);
    expect_agreement(texts);
}

TEST(JsonSchema, IsShippedAsItIsPrinted) {
    const std::string folder = std::string(SANCTUM_BINARY_DIR) + "/share/sanctum/schema/";

    EXPECT_EQ(*read_file(folder + "mission-1.json", kSmallFileBytesMax), profile_json_schema());
    EXPECT_EQ(*read_file(folder + "configuration-1.json", kSmallFileBytesMax), configuration_json_schema());
}

// ---- the operator's configuration -----------------------------------------------------------------------------------

// A configuration with every source and every key of each, for a folder with the files that it names.
std::string whole_configuration(const TemporaryFolder& folder) {
    folder.write("ca.pem", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n");
    const std::string secret = folder.write("secret", "s");
    std::filesystem::permissions(secret, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::string text = *read_file(kGolden + "whole_configuration.toml", kSmallFileBytesMax);
    for (std::size_t at = 0; (at = text.find("@FOLDER@")) != std::string::npos;) text.replace(at, 8, folder.path());
    return text;
}

// The keys that a file sets, each with the position behind it.
std::vector<std::size_t> ends_of_keys(const std::string& text) {
    std::vector<std::size_t> out;
    for (std::size_t line = 0; line < text.size(); line = std::min(text.find('\n', line), text.size()) + 1) {
        const std::size_t end = text.find_first_of(" =\n", line);
        if (end != std::string::npos && end != line && std::islower(static_cast<unsigned char>(text[line])) != 0) {
            out.push_back(end);
        }
    }
    return out;
}

TEST(JsonSchemaOfConfigurations, AcceptsEveryKeyOfEverySourceAsTheLoaderDoes) {
    const TemporaryFolder folder;
    const TemporaryFolder corpus;
    const std::string text = whole_configuration(folder);

    const auto loaded = load_operator_config(folder.write("config.toml", text), Missing::IsAnError);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().what;
    std::set<std::string> used;
    for (const Account& account : loaded->accounts) used.insert(account.source);
    EXPECT_EQ(used.size(), 14U) << "a source is not shown";

    corpus.write("whole.toml", text);
    const std::map<std::string, bool> accepted = validate(corpus, configuration_json_schema());
    if (accepted.empty()) GTEST_SKIP() << "python3-jsonschema is not installed";
    EXPECT_TRUE(accepted.at("whole"));
}

TEST(JsonSchemaOfConfigurations, AndLoaderRefuseEverySingleMistypedKey) {
    const TemporaryFolder folder;
    const TemporaryFolder corpus;
    const std::string text = whole_configuration(folder);
    std::size_t number = 0;
    for (const std::size_t end : ends_of_keys(text)) {
        std::string mistyped = text;
        mistyped.insert(end, "x");
        const std::string name = std::to_string(number++);
        EXPECT_FALSE(load_operator_config(folder.write("config.toml", mistyped), Missing::IsAnError).has_value())
            << mistyped.substr(end - 10, 30);
        corpus.write(name + ".toml", mistyped);
    }
    ASSERT_GT(number, 100U);
    const std::map<std::string, bool> accepted = validate(corpus, configuration_json_schema());
    if (accepted.empty()) GTEST_SKIP() << "python3-jsonschema is not installed";
    ASSERT_EQ(accepted.size(), number);
    for (const auto& [name, is_accepted] : accepted) EXPECT_FALSE(is_accepted) << name;
}

// What needs the machine, two keys at once, or the list of catalog entries is the loader's alone.
TEST(JsonSchemaOfConfigurations, RefusesEveryBrokenConfigurationThatASchemaCanSee) {
    const std::set<std::string> beyond = {
        "a_missing_ca_file_is_named",
        "a_program_without_revoke_cannot_revoke",
        "a_refresh_token_needs_an_item",
        "a_revoke_that_cannot_be_is_refused",
        "a_service_account_is_no_client",
        "a_missions_token_belongs_to_a_refresh_token_and_always_ends",
        "a_tenants_client_proves_who_it_is",
        "a_users_token_of_a_github_app_needs_the_apps_secret",
        "a_worker_signs_with_a_key",
        "an_auth0_account_needs_its_tenant",
        "an_openbao_engine_takes_its_own_keys",
        "the_reaper_gets_no_key_and_nothing_it_does_not_need",
        "two_accounts_with_one_name_are_refused"};
    const TemporaryFolder corpus;
    std::size_t number = 0;
    for (const auto& path : files_in(kGolden + "configuration")) {
        corpus.write(path.filename().string(), *read_file(path.string(), kSmallFileBytesMax));
        ++number;
    }
    ASSERT_GT(number, 50U);
    const std::map<std::string, bool> accepted = validate(corpus, configuration_json_schema());
    if (accepted.empty()) GTEST_SKIP() << "python3-jsonschema is not installed";
    for (const auto& [name, is_accepted] : accepted) EXPECT_EQ(is_accepted, beyond.contains(name)) << name;
}

}  // namespace
}  // namespace sanctum::profiles
