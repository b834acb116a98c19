// SPDX-License-Identifier: Apache-2.0
#include "profiles/schema/trust.hpp"

#include "world.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace sanctum::profiles {
namespace {

using test::places_below;
using test::TemporaryFolder;

TEST(Trust, AFileIsUnknownUntilItIsPinnedAndChangedWhenItChanges) {
    const TemporaryFolder folder;
    const Places places = places_below(folder.path());
    const std::string path = folder.write("repository/mission.toml", "schema = 1\n");
    const Result<ProfileFile> file = read_profile_file(path);
    ASSERT_TRUE(file.has_value()) << file.error().what;
    EXPECT_EQ(*trust_of(*file, places), Trust::Unknown);

    ASSERT_TRUE(pin_trust(*file, places).has_value());
    EXPECT_EQ(*trust_of(*file, places), Trust::Pinned);

    folder.write("repository/mission.toml", "schema = 1 # and more\n");
    EXPECT_EQ(*trust_of(*read_profile_file(path), places), Trust::Changed);
}

TEST(Trust, TheSameContentElsewhereIsNotTrusted) {
    const TemporaryFolder folder;
    const Places places = places_below(folder.path());
    ASSERT_TRUE(pin_trust(*read_profile_file(folder.write("a/mission.toml", "schema = 1\n")), places).has_value());

    EXPECT_EQ(*trust_of(*read_profile_file(folder.write("b/mission.toml", "schema = 1\n")), places), Trust::Unknown);
}

TEST(Trust, ALinkIsTrustedAsWhatItPointsTo) {
    const TemporaryFolder folder;
    const Places places = places_below(folder.path());
    const std::string path = folder.write("a/mission.toml", "schema = 1\n");
    ASSERT_TRUE(pin_trust(*read_profile_file(path), places).has_value());
    std::filesystem::create_symlink(path, folder.path() + "/link.toml");

    const Result<ProfileFile> file = read_profile_file(folder.path() + "/link.toml");

    ASSERT_TRUE(file.has_value());
    EXPECT_EQ(file->path, std::filesystem::canonical(path));
    EXPECT_EQ(*trust_of(*file, places), Trust::Pinned);
}

TEST(Trust, ShippedAndOperatorsProfilesAreTrusted) {
    const TemporaryFolder folder;
    Places places = places_below(folder.path());
    const std::string own = folder.write("config/sanctum/profiles/mine.toml", "schema = 1\n");
    places.shipped = folder.path() + "/share";
    const std::string shipped = folder.write("share/profiles/generic.toml", "schema = 1\n");

    EXPECT_EQ(*trust_of(*read_profile_file(own), places), Trust::Operators);
    EXPECT_EQ(*trust_of(*read_profile_file(shipped), places), Trust::Shipped);
    const std::string beside = folder.write("share/profiles-evil/generic.toml", "schema = 1\n");
    EXPECT_EQ(*trust_of(*read_profile_file(beside), places), Trust::Unknown);
}

TEST(Trust, CanBeListedAndTakenBack) {
    const TemporaryFolder folder;
    const Places places = places_below(folder.path());
    const Result<ProfileFile> file = read_profile_file(folder.write("mission.toml", "schema = 1\n"));
    ASSERT_TRUE(pin_trust(*file, places).has_value());
    ASSERT_TRUE(pin_trust(*file, places).has_value());
    ASSERT_EQ(list_trust(places)->size(), 1U);
    EXPECT_EQ(list_trust(places)->at(0).sha256, file->sha256);

    ASSERT_TRUE(remove_trust(file->path, places).has_value());
    EXPECT_EQ(*trust_of(*file, places), Trust::Unknown);
    EXPECT_EQ(remove_trust(file->path, places).error().code, Errc::NotFound);
}

TEST(Trust, ADamagedTrustFileTrustsNobodyAndSaysSo) {
    const TemporaryFolder folder;
    const Places places = places_below(folder.path());
    const Result<ProfileFile> file = read_profile_file(folder.write("mission.toml", "schema = 1\n"));
    ASSERT_TRUE(pin_trust(*file, places).has_value());
    for (const char* text : {"", "{", "[]", R"({"schema":1})", R"({"schema":1,"pins":[{"path":1}]})"}) {
        folder.write("state/sanctum/trust.json", text);
        const Result<Trust> trust = trust_of(*file, places);
        ASSERT_FALSE(trust.has_value()) << text;
        EXPECT_EQ(trust.error().code, Errc::Protocol);
    }
    folder.write("state/sanctum/trust.json", R"({"schema":2,"pins":[]})");
    EXPECT_EQ(trust_of(*file, places).error().code, Errc::Unsupported);
}

TEST(ProfileFile, ThatOthersCanChangeIsRefused) {
    const TemporaryFolder folder;
    const std::string path = folder.write("mission.toml", "schema = 1\n");
    std::filesystem::permissions(path, std::filesystem::perms(0646));

    EXPECT_EQ(read_profile_file(path).error().code, Errc::NotPermitted);
}

TEST(ProfileFile, ThatIsAPipeIsRefusedAndNotWaitedFor) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/pipe.toml";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);

    EXPECT_EQ(read_profile_file(path).error().code, Errc::Unsupported);
    EXPECT_EQ(read_profile_file(folder.path() + "/none.toml").error().code, Errc::NotFound);
}

TEST(FindProfile, LooksAtTheFlagThenTheEnvironmentThenNames) {
    const TemporaryFolder folder;
    const Places places = places_below(folder.path());
    const std::string path = folder.write("x/mission.toml", "schema = 1\n");
    folder.write("config/sanctum/profiles/mine.toml", "schema = 1\n");

    EXPECT_EQ(*find_profile(path, "/other.toml", places), path);
    EXPECT_EQ(*find_profile("", path, places), path);
    EXPECT_EQ(*find_profile("mine", "", places), places.trusted_profiles + "/mine.toml");
    EXPECT_EQ(*find_profile("generic", "", places), places.shipped + "/profiles/generic.toml");
    const std::map<std::string, std::string> named = *named_profiles(places);
    EXPECT_EQ(named.at("mine"), places.trusted_profiles + "/mine.toml");
    for (const auto& [name, where] : named) EXPECT_EQ(*find_profile(name, "", places), where);
    const Result<std::string> none = find_profile("nothing", "", places);
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().code, Errc::NotFound);
    EXPECT_NE(none.error().what.find("looked for"), std::string::npos);
    EXPECT_EQ(find_profile("../etc/passwd.toml", "", places).error().code, Errc::NotFound);
}

}  // namespace
}  // namespace sanctum::profiles
