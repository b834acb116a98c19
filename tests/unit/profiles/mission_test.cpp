// SPDX-License-Identifier: Apache-2.0
#include "base/wire/archive.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

namespace sanctum::profiles {
namespace {

using test::kGit;
using test::kHead;
using test::World;

Mission with_hosts(std::vector<std::string> names) {
    Mission mission;
    for (std::string& name : names) {
        Host& host = mission.hosts.emplace_back();
        host.name = std::move(name);
        host.ports = {443};
    }
    return mission;
}

TEST(Names, EveryWordIsReadBackAsItself) {
    for (const Risk risk : {Risk::Low, Risk::Medium, Risk::High, Risk::Critical}) {
        Risk read{};
        EXPECT_TRUE(parse_name(name_of(risk), read));
        EXPECT_EQ(read, risk);
    }
    for (const Verdict verdict : {Verdict::Allow, Verdict::Ask, Verdict::StepUp, Verdict::Deny}) {
        Verdict read{};
        EXPECT_TRUE(parse_name(name_of(verdict), read));
        EXPECT_EQ(read, verdict);
    }
}

TEST(Names, AnUnknownWordIsNoVerdict) {
    Verdict verdict{};

    EXPECT_FALSE(parse_name("Allow", verdict));
    EXPECT_FALSE(parse_name("", verdict));
}

TEST(DialEntries, ExactNamesWinOverWildcards) {
    const auto entries = dial_entries(with_hosts({"*.example.org", "api.example.org"}));

    EXPECT_EQ(find_dial_entry(entries, "api.example.org"), 1U);
    EXPECT_EQ(find_dial_entry(entries, "www.example.org"), 0U);
}

TEST(DialEntries, TheLongerWildcardWins) {
    const auto entries = dial_entries(with_hosts({"*.example.org", "*.eu.example.org"}));

    EXPECT_EQ(find_dial_entry(entries, "a.eu.example.org"), 1U);
    EXPECT_EQ(find_dial_entry(entries, "a.us.example.org"), 0U);
}

TEST(DialEntries, AWildcardCoversNeitherItsParentNorALookAlike) {
    const auto entries = dial_entries(with_hosts({"*.example.org"}));

    EXPECT_EQ(find_dial_entry(entries, "example.org"), std::nullopt);
    EXPECT_EQ(find_dial_entry(entries, "evilexample.org"), std::nullopt);
    EXPECT_EQ(find_dial_entry(entries, ".example.org"), std::nullopt);
    EXPECT_EQ(find_dial_entry(entries, "example.org.evil.test"), std::nullopt);
}

TEST(DialEntries, NameTheServiceTheyBelongTo) {
    const World world(std::string(kHead) + std::string(kGit));

    const auto entries = dial_entries(world.mission);

    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].name, "git.quickstart.test");
    EXPECT_EQ(entries[0].service, 0);
    EXPECT_EQ(entries[0].endpoint, 0);
    EXPECT_EQ(entries[0].host, -1);
}

TEST(ListeningPorts, AreEveryNamedPortAndTheTwoOfTheWeb) {
    Mission mission = with_hosts({"a.test", "b.test"});
    mission.hosts[0].ports = {8443};
    mission.hosts[1].ports = {443, 3000};

    EXPECT_EQ(listening_ports(mission), (std::vector<std::uint16_t>{80, 443, 3000, 8443}));
    EXPECT_EQ(listening_ports(Mission{}), (std::vector<std::uint16_t>{80, 443}));
}

TEST(Mission, TravelsAsJsonUnchanged) {
    const World world(std::string(kHead) + std::string(kGit));

    const std::string json = wire::to_json(world.mission);
    const Result<Mission> read = wire::from_json<Mission>(json);

    ASSERT_TRUE(read.has_value()) << read.error().what;
    EXPECT_EQ(wire::to_json(*read), json);
}

}  // namespace
}  // namespace sanctum::profiles
