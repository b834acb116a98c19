// SPDX-License-Identifier: Apache-2.0
#include "base/places.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <pwd.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum {
namespace {

constexpr uid_t kUser = 1000;
constexpr uid_t kRoot = 0;

TEST(Places, AVariableThatLeadsWhereNothingCanBeMadeIsNamed) {
    std::string name = ::testing::TempDir() + "places-of-another-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    const std::filesystem::path own = name;
    std::ofstream(own / "file") << "no folder, not even for root\n";
    const auto checked = [](const char* variable, const std::string& value) {
        const std::map<std::string, std::string> environment{{"HOME", "/home/ada"}, {variable, value}};
        const Status status = check_own_folders(find_places(environment, kUser, "/usr/bin"), environment);
        return status ? std::string() : status.error().what;
    };

    for (const std::string& variable : {std::string("XDG_STATE_HOME"), std::string("XDG_RUNTIME_DIR")}) {
        EXPECT_NE(checked(variable.c_str(), own / "file").find(variable + " leads there"), std::string::npos);
        EXPECT_EQ(checked(variable.c_str(), own / "new"), "");
        EXPECT_EQ(checked(variable.c_str(), own), "");
        EXPECT_EQ(checked(variable.c_str(), "relative"), "") << "as if it were not set";
    }
    std::filesystem::remove_all(own);
}

TEST(Places, AUsersLieBelowTheirHome) {
    const Places places = find_places({{"HOME", "/home/ada"}}, kUser, "/usr/bin");
    EXPECT_EQ(places.configuration, "/home/ada/.config/sanctum/config.toml");
    EXPECT_EQ(places.store(), "/home/ada/.local/share/sanctum/store.sealed");
    EXPECT_EQ(places.ledger_key(), "/home/ada/.local/share/sanctum/ledger.key");
    EXPECT_EQ(places.mission("01k"), "/home/ada/.local/state/sanctum/missions/01k");
    EXPECT_EQ(places.control_socket("01k"), "/home/ada/.local/state/sanctum/run/01k.sock");
}

TEST(Places, XdgVariablesWinForAUserAndForRoot) {
    const std::map<std::string, std::string> environment = {{"HOME", "/home/ada"},
                                                            {"XDG_CONFIG_HOME", "/x/c"},
                                                            {"XDG_DATA_HOME", "/x/d"},
                                                            {"XDG_STATE_HOME", "/x/s"},
                                                            {"XDG_RUNTIME_DIR", "/x/r"}};
    for (const uid_t uid : {kUser, kRoot}) {
        const Places places = find_places(environment, uid, "/usr/bin");
        EXPECT_EQ(places.configuration, "/x/c/sanctum/config.toml");
        EXPECT_EQ(places.trusted_profiles, "/x/c/sanctum/profiles");
        EXPECT_EQ(places.own_catalog, "/x/c/sanctum/catalog.d");
        EXPECT_EQ(places.store(), "/x/d/sanctum/store.sealed");
        EXPECT_EQ(places.receipts(), "/x/s/sanctum/receipts.jsonl");
        EXPECT_EQ(places.control_socket("01k"), "/x/r/sanctum/01k.sock");
    }
}

TEST(Places, RootsAreTheSystemsPlaces) {
    const Places places = find_places({{"HOME", "/root"}}, kRoot, "/usr/bin");
    EXPECT_EQ(places.configuration, "/etc/sanctum/config.toml");
    EXPECT_EQ(places.store(), "/var/lib/sanctum/store.sealed");
    EXPECT_EQ(places.trust(), "/var/lib/sanctum/state/trust.json");
    EXPECT_EQ(places.control_socket("01k"), "/run/sanctum/01k.sock");
}

TEST(Places, ANamedConfigurationGoesBeforeTheUsualPlace) {
    const Places places =
        find_places({{"HOME", "/home/ada"}, {"SANCTUM_CONFIG", "/etc/other.toml"}}, kUser, "/usr/bin");
    EXPECT_EQ(places.configuration, "/etc/other.toml");
    EXPECT_EQ(places.trusted_profiles, "/home/ada/.config/sanctum/profiles") << "only the file moves";
}

// XDG base directory specification: a path that is not absolute is ignored.
TEST(Places, RelativePathsInTheEnvironmentAreIgnored) {
    const Places places = find_places(
        {{"HOME", "/home/ada"}, {"XDG_DATA_HOME", "evil"}, {"SANCTUM_CONFIG", "x.toml"}}, kUser, "/usr/bin");
    EXPECT_EQ(places.data, "/home/ada/.local/share/sanctum");
    EXPECT_EQ(places.configuration, "/home/ada/.config/sanctum/config.toml");
}

TEST(Places, ThisProcessKnowsWhereItsProgramsAre) {
    EXPECT_EQ(places_of_this_process().programs, std::string(SANCTUM_BINARY_DIR) + "/bin");
    EXPECT_EQ(places_of_this_process().commands, std::string(SANCTUM_BINARY_DIR) + "/bin");
}

TEST(Places, AnInstallationIsFoundFromEitherOfItsTwoFolders) {
    std::string prefix = ::testing::TempDir() + "places-prefix-XXXXXX";
    ASSERT_NE(::mkdtemp(prefix.data()), nullptr);
    for (const char* folder : {"/bin", "/libexec/sanctum", "/share/sanctum/catalog"}) {
        std::filesystem::create_directories(prefix + folder);
    }
    for (const std::string& own : {prefix + "/bin", prefix + "/libexec/sanctum"}) {
        const Places places = find_places({{"HOME", "/home/ada"}}, kUser, own);
        EXPECT_EQ(places.launcher(), prefix + "/bin/sanctum-run");
        EXPECT_EQ(places.vault(), prefix + "/libexec/sanctum/sanctum-vault");
        EXPECT_TRUE(std::filesystem::equivalent(places.shipped, prefix + "/share/sanctum")) << places.shipped;
    }
    std::filesystem::remove_all(prefix);
    EXPECT_EQ(find_places({}, kUser, prefix + "/bin").vault(), prefix + "/bin/sanctum-vault") << "a build tree";
}

TEST(Places, WithoutAHomeThePasswordEntryTellsIt) {
    // In a child: as nobody where this is root, whose places are the system's.
    const pid_t child = ::fork();
    if (child == 0) {
        constexpr uid_t nobody = 65534;
        if (::geteuid() == 0 && ::setuid(nobody) != 0) ::_exit(2);
        for (const char* name : {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}) ::unsetenv(name);
        const passwd* const entry = ::getpwuid(::geteuid());
        const std::string home = entry != nullptr ? entry->pw_dir : "";
        const std::string unset = places_of_this_process().state;
        ::setenv("HOME", "relative", 1);
        const bool is_told = unset == home + "/.local/state/sanctum" && places_of_this_process().state == unset;
        ::_exit(is_told ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sanctum
