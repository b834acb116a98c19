// SPDX-License-Identifier: Apache-2.0
// Golden files: each golden/KIND/CLAIM.toml (or .flags) has a CLAIM.txt with exactly what its author is told.
// SANCTUM_UPDATE_GOLDEN=1 rewrites the texts; read the difference before it is committed.
#include "base/files.hpp"
#include "base/limits.hpp"
#include "profiles/catalog/catalog.hpp"
#include "world.hpp"

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <sstream>

namespace sanctum::profiles {
namespace {

using test::operator_config;
using test::TemporaryFolder;

const std::string kFolder = std::string(SANCTUM_SOURCE_DIR) + "/tests/unit/profiles/golden/";

std::vector<std::string> cases(const std::string& kind) {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder + kind)) {
        if (entry.path().extension() != ".txt") out.push_back(entry.path().string());
    }
    std::sort(out.begin(), out.end());
    return out;
}

// `an_unknown_key_is_named.toml` → AnUnknownKeyIsNamed.
std::string claim_of(const ::testing::TestParamInfo<std::string>& info) {
    std::string out;
    bool is_start = true;
    for (const char c : std::filesystem::path(info.param).stem().string()) {
        if (c == '_') is_start = true;
        else out.push_back(std::exchange(is_start, false) ? static_cast<char>(std::toupper(c)) : c);
    }
    return out;
}

std::string input_of(const std::string& path) {
    Result<std::string> text = read_file(path, kSmallFileBytesMax);
    EXPECT_TRUE(text.has_value()) << path;
    return text ? *text : std::string();
}

void expect_golden(const std::string& input, const std::string& actual) {
    const std::string path = std::filesystem::path(input).replace_extension(".txt").string();
    if (std::getenv("SANCTUM_UPDATE_GOLDEN") != nullptr) {
        ASSERT_TRUE(write_file_atomically(path, actual + "\n", 0644).has_value());
        return;
    }
    EXPECT_EQ(actual + "\n", input_of(path)) << "(SANCTUM_UPDATE_GOLDEN=1 rewrites it)";
}

// No diagnostic may be longer than a screen is wide times three, or name no place.
void expect_helpful(const std::string& text) {
    EXPECT_NE(text.find("error: "), std::string::npos);
    EXPECT_NE(text.find('^'), std::string::npos) << "no caret";
    EXPECT_NE(text.find("hint: "), std::string::npos) << "no hint";
}

class BrokenProfile : public ::testing::TestWithParam<std::string> {};

TEST_P(BrokenProfile, IsExplained) {
    const Result<Mission> mission = test::resolve(input_of(GetParam()));

    ASSERT_FALSE(mission.has_value()) << "it was accepted";
    expect_helpful(mission.error().what);
    expect_golden(GetParam(), mission.error().what);
}

INSTANTIATE_TEST_SUITE_P(Golden, BrokenProfile, ::testing::ValuesIn(cases("profile")), claim_of);

class BrokenOverride : public ::testing::TestWithParam<std::string> {};

TEST_P(BrokenOverride, IsExplained) {
    Overrides overrides;
    std::istringstream lines(input_of(GetParam()));
    for (std::string line; std::getline(lines, line);) {
        const std::size_t space = line.find(' ');
        const std::string flag = line.substr(0, space);
        const std::string value = line.substr(space + 1);
        if (flag == "-c") overrides.settings.push_back(value);
        if (flag == "-e") overrides.environment.push_back(value);
        if (flag == "--mount") overrides.mounts.push_back(value);
        if (flag == "--ttl") overrides.ttl = value;
        if (flag == "--name") overrides.name = value;
    }

    const Result<Mission> mission =
        test::resolve(std::string(test::kHead) + std::string(test::kGit), overrides);

    ASSERT_FALSE(mission.has_value()) << "it was accepted";
    expect_helpful(mission.error().what);
    expect_golden(GetParam(), mission.error().what);
}

INSTANTIATE_TEST_SUITE_P(Golden, BrokenOverride, ::testing::ValuesIn(cases("override")), claim_of);

class BrokenConfiguration : public ::testing::TestWithParam<std::string> {};

TEST_P(BrokenConfiguration, IsExplained) {
    const TemporaryFolder folder;
    const std::string path = folder.write("config.toml", input_of(GetParam()));

    const Result<OperatorConfig> config = load_operator_config(path, Missing::IsAnError);

    ASSERT_FALSE(config.has_value()) << "it was accepted";
    std::string told = config.error().what;
    for (std::size_t at = told.find(folder.path()); at != std::string::npos; at = told.find(folder.path(), at)) {
        told.replace(at, folder.path().size(), "/etc/sanctum");
    }
    expect_helpful(told);
    expect_golden(GetParam(), told);
}

INSTANTIATE_TEST_SUITE_P(Golden, BrokenConfiguration, ::testing::ValuesIn(cases("configuration")), claim_of);

class BrokenEntry : public ::testing::TestWithParam<std::string> {};

TEST_P(BrokenEntry, IsExplained) {
    const Result<std::string> entry = compile_entry("catalog.d/my-api.toml", input_of(GetParam()));

    ASSERT_FALSE(entry.has_value()) << "it was accepted";
    expect_helpful(entry.error().what);
    expect_golden(GetParam(), entry.error().what);
}

INSTANTIATE_TEST_SUITE_P(Golden, BrokenEntry, ::testing::ValuesIn(cases("catalog")), claim_of);

class Explained : public ::testing::TestWithParam<std::string> {};

TEST_P(Explained, InWordsAndAsPolicy) {
    CatalogSet catalog;
    const Result<Mission> mission = test::resolve(input_of(GetParam()), {}, &catalog);

    ASSERT_TRUE(mission.has_value()) << mission.error().what;
    expect_golden(GetParam(),
                  exposure_line(*mission, catalog) + "\n\n" + explain_mission(*mission) + "\n" + policy_json(*mission));
}

INSTANTIATE_TEST_SUITE_P(Golden, Explained, ::testing::ValuesIn(cases("explain")), claim_of);

}  // namespace
}  // namespace sanctum::profiles
