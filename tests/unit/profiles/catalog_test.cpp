// SPDX-License-Identifier: Apache-2.0
#include "profiles/catalog/catalog.hpp"

#include "base/files.hpp"
#include "base/limits.hpp"
#include "world.hpp"

#include <filesystem>
#include <fcntl.h>
#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using test::places_below;
using test::TemporaryFolder;

constexpr std::string_view kEntry = R"(
schema = 1
name = "notes"
placeholder = "token"
[[endpoint]]
name = "api"
hosts = ["api.notes.test"]
auth = { form = "header", name = "x-notes-key" }
[[operation]]
id = "notes/get"
endpoint = "api"
method = "GET"
path = "/notes/{note}"
any_of = [["notes:read"], ["notes:write", "admin"]]
resources = { note = "{note}" }
risk = "low"
says = "Read note {note}"
[[operation]]
id = "notes/search"
endpoint = "api"
method = "GET"
path = "/notes/search"
any_of = [["notes:read"]]
resources = { folder = "{?folder}" }
risk = "low"
says = "Search {?folder}"
redact = ["/token"]
[[operation]]
id = "files"
endpoint = "api"
method = "GET"
path = "/files/{folder}/**"
any_of = [[]]
risk = "low"
says = "Read a file of {folder}"
[[operation]]
id = "anything"
endpoint = "api"
method = "*"
path = "/notes/**"
risk = "critical"
says = "Do something"
[implies]
"notes:write" = ["notes:read"]
"notes:all" = ["notes:write"]
)";

std::string compiled(std::string_view toml = kEntry) {
    Result<std::string> bytes = compile_entry("notes.toml", toml);
    EXPECT_TRUE(bytes.has_value()) << bytes.error().what;
    return bytes ? *bytes : std::string();
}

CompiledEntry entry() {
    Result<CompiledEntry> opened = CompiledEntry::open(compiled());
    EXPECT_TRUE(opened.has_value());
    return std::move(*opened);
}

TEST(CatalogEntry, KeepsWhatWasWritten) {
    const CompiledEntry notes = entry();

    EXPECT_EQ(notes.name(), "notes");
    EXPECT_EQ(notes.placeholder(), "token");
    EXPECT_EQ(notes.scopes(), (std::vector<std::string_view>{"admin", "notes:all", "notes:read", "notes:write"}));
    EXPECT_EQ(notes.resource_names(), (std::vector<std::string_view>{"folder", "note"}));
    EXPECT_EQ(notes.operation_ids(), (std::vector<std::string_view>{"anything", "files", "notes/get", "notes/search"}));
    ASSERT_EQ(notes.endpoints().size(), 1U);
    EXPECT_EQ(notes.endpoints()[0].form, AuthForm::Header);
    EXPECT_EQ(notes.endpoints()[0].form_name, "x-notes-key");
}

TEST(CatalogEntry, FollowsImpliedScopesToTheEnd) {
    EXPECT_EQ(entry().implied_by("notes:all"), (std::vector<std::string_view>{"notes:read", "notes:write"}));
    EXPECT_TRUE(entry().implied_by("notes:read").empty());
}

TEST(CatalogEntry, ALiteralBeatsACaptureAndACaptureBeatsTheRest) {
    const CompiledEntry notes = entry();

    EXPECT_EQ(notes.find("api", "GET", "/notes/search", "")->id, "notes/search");
    EXPECT_EQ(notes.find("api", "GET", "/notes/7", "")->id, "notes/get");
    EXPECT_EQ(notes.find("api", "GET", "/notes/7/x", "")->id, "anything");
    EXPECT_EQ(notes.find("api", "DELETE", "/notes/7", "")->id, "anything");
}

TEST(CatalogEntry, UnknownRequestsAreNotFound) {
    const CompiledEntry notes = entry();

    EXPECT_FALSE(notes.find("api", "GET", "/", "").has_value());
    EXPECT_FALSE(notes.find("api", "GET", "/notes", "").has_value());
    EXPECT_FALSE(notes.find("api", "GET", "/files/a", "").has_value());
    EXPECT_FALSE(notes.find("other", "GET", "/notes/7", "").has_value());
    EXPECT_FALSE(notes.find("api", "GET", "notes/7", "").has_value());
    EXPECT_FALSE(notes.find("api", "GET", "", "").has_value());
    std::string deep;
    for (std::size_t i = 0; i <= kPathSegmentsMax; ++i) deep += "/a";
    EXPECT_FALSE(notes.find("api", "GET", deep, "").has_value());
}

TEST(CatalogEntry, HeadIsLookedUpAsGet) { EXPECT_EQ(entry().find("api", "HEAD", "/notes/7", "")->id, "notes/get"); }

TEST(CatalogEntry, FillsResourcesAndWordsFromTheRequest) {
    const auto match = entry().find("api", "GET", "/notes/a%40b", "");

    ASSERT_TRUE(match.has_value());
    EXPECT_EQ(match->resources.at(0).second, "a@b");
    EXPECT_EQ(match->says, "Read note a@b");
    EXPECT_EQ(match->any_of.size(), 2U);
}

TEST(CatalogEntry, WordsForHumansHoldNoControlCharacters) {
    const auto match = entry().find("api", "GET", "/notes/a%C2%9Bx", "");

    ASSERT_TRUE(match.has_value());
    EXPECT_EQ(match->says, "Read note a?x");
}

TEST(CatalogEntry, AQueryResourceThatIsMissingOrRepeatedIsEmpty) {
    const CompiledEntry notes = entry();

    EXPECT_EQ(notes.find("api", "GET", "/notes/search", "folder=a")->resources.at(0).second, "a");
    EXPECT_EQ(notes.find("api", "GET", "/notes/search", "")->resources.at(0).second, "");
    EXPECT_EQ(notes.find("api", "GET", "/notes/search", "folder=a&folder=b")->resources.at(0).second, "");
}

TEST(CatalogEntry, WhatNeedsNothingDiffersFromWhatIsNotKnown) {
    const CompiledEntry notes = entry();

    EXPECT_TRUE(notes.find("api", "GET", "/files/a/b", "")->is_scoped);
    EXPECT_TRUE(notes.find("api", "GET", "/files/a/b", "")->any_of.at(0).empty());
    EXPECT_FALSE(notes.find("api", "DELETE", "/notes/7", "")->is_scoped);
}

// Every single byte of a compiled entry may be damaged: the answer is an error or an entry that can be asked anything.
TEST(CompiledEntry, DamageIsAnErrorAndNeverACrash) {
    const std::string good = compiled();
    std::size_t refused = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const char value : {'\0', '\x01', '\x7f', '\xff'}) {
            std::string bytes = good;
            bytes[at] = value;
            const Result<CompiledEntry> opened = CompiledEntry::open(bytes);
            if (!opened) {
                ++refused;
                continue;
            }
            static_cast<void>(opened->endpoints());
            static_cast<void>(opened->scopes());
            static_cast<void>(opened->operation_ids());
            static_cast<void>(opened->find("api", "GET", "/notes/7", "folder=a"));
            static_cast<void>(opened->operation("notes/get"));
            static_cast<void>(opened->implied_by("notes:all"));
        }
    }
    EXPECT_GT(refused, 100U);
}

TEST(CompiledEntry, EveryShorterFileIsRefused) {
    const std::string good = compiled();
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(CompiledEntry::open(good.substr(0, size)).has_value()) << size;
    }
    EXPECT_FALSE(CompiledEntry::open(good + "x").has_value());
}

TEST(CompiledEntry, IsTheSameFromAMemfd) {
    const Result<UniqueFd> memfd = make_sealed_memfd("entry", compiled());
    ASSERT_TRUE(memfd.has_value());

    const Result<CompiledEntry> mapped = CompiledEntry::map(memfd->get());

    ASSERT_TRUE(mapped.has_value()) << mapped.error().what;
    EXPECT_EQ(mapped->bytes(), compiled());
    EXPECT_EQ(mapped->find("api", "GET", "/notes/7", "")->id, "notes/get");
}

std::string profile_with(std::string_view catalog) {
    return std::string(test::kHead) + "[[service]]\nname = \"s\"\ncatalog = \"" + std::string(catalog) +
           "\"\naccount = \"a\"\ngrant = []\n";
}

TEST(LoadCatalog, AnOwnEntryIsCompiledAtFirstUseAndKept) {
    const TemporaryFolder folder;
    folder.write("config/sanctum/catalog.d/notes.toml", kEntry);
    const Places places = places_below(folder.path());
    const Result<Profile> profile = load_profile("mission.toml", profile_with("notes"));
    ASSERT_TRUE(profile.has_value());

    const Result<CatalogSet> first = load_catalog(*profile, places);
    const Result<CatalogSet> second = load_catalog(*profile, places);

    ASSERT_TRUE(first.has_value()) << first.error().what;
    ASSERT_TRUE(second.has_value());
    EXPECT_NE(second->find("notes"), nullptr);
    EXPECT_FALSE(std::filesystem::is_empty(folder.path() + "/state/sanctum/catalog"));
}

TEST(LoadCatalog, AnOwnEntryMayNotReplaceAShippedOne) {
    const TemporaryFolder folder;
    folder.write("config/sanctum/catalog.d/github.toml", kEntry);
    const Result<Profile> profile = load_profile("mission.toml", profile_with("github"));

    const Result<CatalogSet> catalog = load_catalog(*profile, places_below(folder.path()));

    ASSERT_FALSE(catalog.has_value());
    EXPECT_NE(catalog.error().what.find("cannot be replaced"), std::string::npos);
}

TEST(LoadCatalog, AnOwnEntryThatOthersCanWriteIsRefused) {
    const TemporaryFolder folder;
    const std::string path = folder.write("config/sanctum/catalog.d/notes.toml", kEntry);
    std::filesystem::permissions(path, std::filesystem::perms(0666));
    const Result<Profile> profile = load_profile("mission.toml", profile_with("notes"));

    const Result<CatalogSet> catalog = load_catalog(*profile, places_below(folder.path()));

    ASSERT_FALSE(catalog.has_value());
    EXPECT_EQ(catalog.error().code, Errc::NotPermitted);
}

TEST(LoadCatalog, AnEntryUnderAnotherNameIsRefused) {
    const TemporaryFolder folder;
    folder.write("config/sanctum/catalog.d/other.toml", kEntry);
    const Result<Profile> profile = load_profile("mission.toml", profile_with("other"));

    EXPECT_FALSE(load_catalog(*profile, places_below(folder.path())).has_value());
}

}  // namespace
}  // namespace sanctum::profiles
