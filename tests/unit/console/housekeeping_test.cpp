// SPDX-License-Identifier: Apache-2.0
// `prune` and `audit list`, and what an older Sanctum recorded (tests/recorded).
#include "tests/unit/console/console_fixture.hpp"

#include <gmock/gmock.h>

#include <chrono>

namespace sanctum::console::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSecond = "01kabcdefghjkmnpqrstvwxyz1";
constexpr Milliseconds kDay = std::chrono::hours(24);

class Prune : public ConsoleTest {
protected:
    // One mission that ended 500 days ago, one that ended a day ago.
    void make_old_and_young() {
        run_sealed_mission(kMission);
        clock_.advance(499 * kDay);
        run_sealed_mission(kSecond);
        clock_.advance(kDay);
        vault_says("");
    }
    [[nodiscard]] bool has_folder(const std::string& id) const {
        return std::filesystem::exists(console_.places.mission(id));
    }
};

TEST_F(Prune, AnOldMissionGoesAndTheRecordSaysSo) {
    make_old_and_young();
    const std::string chain = read(console_.places.receipts());

    EXPECT_EQ(run({"prune", "--dry-run"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " would-prune"));
    EXPECT_TRUE(has_folder(kMission));
    EXPECT_FALSE(std::filesystem::exists(console_.places.pruned()));
    EXPECT_EQ(run({"prune"}), Exit::Ok) << err();

    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " pruned"));
    EXPECT_THAT(out(), Not(HasSubstr(kSecond)));
    EXPECT_FALSE(has_folder(kMission));
    EXPECT_TRUE(has_folder(kSecond));
    EXPECT_EQ(read(console_.places.receipts()), chain);
    EXPECT_EQ(run({"audit", "verify"}), Exit::Ok) << out();
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " pruned"));
    EXPECT_EQ(run({"prune"}), Exit::Ok);
    EXPECT_EQ(out(), "nothing to prune\n");
}

TEST_F(Prune, AFolderRemovedByHandStaysMissing) {
    make_old_and_young();
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();
    std::filesystem::remove_all(console_.places.mission(kSecond));
    EXPECT_EQ(run({"audit", "verify"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr(std::string(kSecond) + " missing"));

    // Without its signed line, and with a line that nobody signed, the pruned one is missing too.
    const std::string line = read(console_.places.pruned());
    write(console_.places.pruned(), "");
    EXPECT_EQ(run({"audit", "verify"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " missing"));
    std::string forged = line;
    forged[forged.find("payload\":\"") + 12] ^= 1;
    write(console_.places.pruned(), forged);
    EXPECT_EQ(run({"audit", "verify"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("pruned.jsonl broken"));
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " missing"));
}

TEST_F(Prune, TheOperatorsBoundHoldsAgainstTheOption) {
    make_old_and_young();
    write(console_.places.configuration, "schema = 1\n[ledger]\nkeep = \"600d\"\n");

    EXPECT_EQ(run({"prune", "--older", "450d"}), Exit::Finding);
    EXPECT_THAT(err(), HasSubstr("[ledger] keep is 600d"));
    EXPECT_EQ(run({"prune"}), Exit::Ok) << err();
    EXPECT_TRUE(has_folder(kMission));

    write(console_.places.configuration, "schema = 1\n[ledger]\nkeep = \"30d\"\n");
    EXPECT_EQ(run({"prune", "--older", "450d"}), Exit::Ok) << err();
    EXPECT_FALSE(has_folder(kMission));
}

TEST_F(Prune, AnAgeThatIsNoneIsAUsageError) {
    make_old_and_young();
    for (const std::string age : {"soon", "-1d", "400"}) {
        EXPECT_EQ(run({"prune", "--older=" + age}), Exit::Usage) << age;
        EXPECT_TRUE(has_folder(kMission)) << age;
    }
}

TEST_F(Prune, WhatMayStillMatterIsKept) {
    make_old_and_young();
    const auto living = begin_mission("01kabcdefghjkmnpqrstvwxyz2");
    begin_mission("01kabcdefghjkmnpqrstvwxyz3").reset();  // died, not recovered
    clock_.advance(500 * kDay);
    vault_says(std::string(kMission) + "\n");
    const std::string path = console_.places.mission(kSecond) + "/ledger.jsonl";
    std::string changed = read(path);
    changed.replace(changed.find("host_unknown"), 4, "most");
    write(path, changed);

    EXPECT_EQ(run({"prune", "--older", "1d"}), Exit::Ok) << err();

    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " kept: a credential of it may still be alive"));
    EXPECT_THAT(out(), HasSubstr(std::string(kSecond) + " kept: its ledger is broken"));
    for (const char* id : {kMission, kSecond, "01kabcdefghjkmnpqrstvwxyz2", "01kabcdefghjkmnpqrstvwxyz3"}) {
        EXPECT_TRUE(has_folder(id)) << id;
    }
}

TEST_F(Prune, WithoutTheVaultsWordOrAWholeChainNothingGoes) {
    make_old_and_young();
    vault_says("", 1);
    EXPECT_EQ(run({"prune"}), Exit::Unreachable);
    vault_says("");
    std::string chain = read(console_.places.receipts());
    chain[chain.find("payload\":\"") + 12] ^= 1;
    write(console_.places.receipts(), chain);
    EXPECT_EQ(run({"prune"}), Exit::Finding);
    EXPECT_THAT(err(), HasSubstr("chain of receipts is broken at line 1"));
    EXPECT_TRUE(has_folder(kMission));
}

TEST_F(Prune, WhatAnInterruptedRunMovedAwayIsFinished) {
    make_old_and_young();
    const std::string leaving = console_.places.missions() + "/.pruned-" + kMission;
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();
    std::filesystem::create_directories(leaving);
    write(leaving + "/ledger.jsonl", "rest");

    EXPECT_EQ(run({"prune"}), Exit::Ok) << err();

    EXPECT_FALSE(std::filesystem::exists(leaving));
}

TEST_F(Prune, ItsReceiptIsShownAsLongAsTheChainHasIt) {
    make_old_and_young();
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();
    const std::string today = format_rfc3339(clock_.wall());

    EXPECT_EQ(run({"show", kMission}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(kMission));
    EXPECT_THAT(out(), HasSubstr("pruned on " + today));
    EXPECT_EQ(run({"show", kMission, "--json"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(R"("state":"ended","ledger":"pruned")"));
    EXPECT_THAT(out(), HasSubstr(R"("receipt":{"schema":"sanctum.receipt/)"));

    std::filesystem::remove_all(console_.places.mission(kSecond));
    EXPECT_EQ(run({"show", kSecond}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("missing: its receipt is in the chain"));
    EXPECT_THAT(out(), Not(HasSubstr("pruned on")));
    EXPECT_EQ(run({"show", "01kabcdefghjkmnpqrstvwxyz7"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("there are no missions in"));
}

TEST_F(Prune, VerifyingItByNameGivesTheSignedLinesVerdict) {
    make_old_and_young();
    ASSERT_EQ(run({"audit", "verify", kMission}), Exit::Ok) << err();
    const std::string before = out();
    const std::string head = before.substr(before.find("head ") + 5, before.find('\n') - before.find("head ") - 5);
    const std::string hash = head.substr(head.find(':'));
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();

    EXPECT_EQ(run({"audit", "verify", kMission}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " pruned: on "));
    EXPECT_EQ(run({"audit", "verify", kMission, "--at-least", head}), Exit::Ok) << out();
    EXPECT_EQ(run({"audit", "verify", kMission, "--at-least", "900" + hash}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("broken at record 900"));
    EXPECT_EQ(run({"audit", "verify", kMission, "--at-least", "0" + hash}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("missing at record 0"));

    write(console_.places.pruned(), "");
    EXPECT_EQ(run({"audit", "verify", kMission}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " missing"));
    EXPECT_EQ(run({"audit", "verify", "01kabcdefghjkmnpqrstvwxyz7"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("no mission '01kabcdefghjkmnpqrstvwxyz7'"));
}

TEST_F(Prune, WhoAsksForItsRecordsHearsWhenTheyWentAndWhatIsLeft) {
    make_old_and_young();
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();
    const std::string told = "mission " + std::string(kMission) + " was pruned on " + format_rfc3339(clock_.wall()) +
                             ": its records are gone, its receipt is in the chain (sanctum show " + kMission;
    const std::string decision = std::string(kMission) + "-e1";
    for (const std::vector<std::string>& words : {std::vector<std::string>{"audit", "show", kMission},
                                                  {"explain", decision}, {"accept", kMission}, {"revoke", kMission}}) {
        EXPECT_EQ(run(words), Exit::Failed) << words.front();
        EXPECT_THAT(err(), HasSubstr(told)) << words.front();
    }
    EXPECT_EQ(run({"explain", "01kabcdefghjkmnpqrstvwxyz7-e1"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("no mission '01kabcdefghjkmnpqrstvwxyz7'"));
    std::filesystem::remove_all(console_.places.mission(kSecond));
    EXPECT_EQ(run({"audit", "show", kSecond}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("missing: its receipt is in the chain"));
}

TEST_F(Prune, AMachineWithNothingButPrunedMissionsIsNotEmpty) {
    run_sealed_mission(kMission);
    run_sealed_mission(kSecond);
    clock_.advance(500 * kDay);
    vault_says("");
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();

    EXPECT_EQ(run({"audit", "verify"}), Exit::Ok) << out();
    EXPECT_THAT(out(), HasSubstr(std::string(kMission) + " pruned"));
    EXPECT_THAT(out(), Not(HasSubstr("no missions")));
    EXPECT_EQ(run({"show"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(kSecond));
    EXPECT_EQ(run({"show", "01kabcdefghjkmnpqrstvwxyz"}), Exit::Failed);
    EXPECT_THAT(err(), HasSubstr("is the beginning of 2 missions"));
}

using AuditList = Prune;
TEST_F(AuditList, EndedLivingAndPrunedMissionsAreListedWithTheirCounts) {
    make_old_and_young();
    const auto living = begin_mission("01kabcdefghjkmnpqrstvwxyz2");
    ASSERT_EQ(run({"prune"}), Exit::Ok) << err();

    EXPECT_EQ(run({"audit", "list", "--json"}), Exit::Ok) << err();

    const std::string all = out();
    EXPECT_THAT(all, HasSubstr(R"("mission":"01kabcdefghjkmnpqrstvwxyz0","state":"pruned")"));
    EXPECT_THAT(all, HasSubstr(R"("mission":"01kabcdefghjkmnpqrstvwxyz1","state":"sealed")"));
    EXPECT_THAT(all, HasSubstr(R"("mission":"01kabcdefghjkmnpqrstvwxyz2","state":"open")"));
    EXPECT_THAT(all, HasSubstr(R"("refused":1)"));
    EXPECT_EQ(run({"audit", "list"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("STARTED"));
}

TEST_F(AuditList, AgentAndTimeNarrowTheList) {
    make_old_and_young();
    const auto living = begin_mission("01kabcdefghjkmnpqrstvwxyz2");  // of agent bot, and long ago says its file

    EXPECT_EQ(run({"audit", "list", "--since", "7d", "--json"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr(kSecond));
    EXPECT_THAT(out(), Not(HasSubstr(kMission)));
    EXPECT_EQ(run({"audit", "list", "--agent", "bot", "--json"}), Exit::Ok);
    EXPECT_THAT(out(), HasSubstr("01kabcdefghjkmnpqrstvwxyz2"));
    EXPECT_THAT(out(), Not(HasSubstr(kSecond)));
    EXPECT_EQ(run({"audit", "list", "--agent", "nobody"}), Exit::Ok);
    EXPECT_EQ(out(), "no missions\n");
    EXPECT_EQ(run({"audit", "list", "--since", "yesterday"}), Exit::Usage);
}

TEST_F(AuditList, AMissionWhoseFileCannotBeReadHidesBehindNoFilter) {
    make_old_and_young();
    const std::string id = "01kabcdefghjkmnpqrstvwxyz2";
    begin_mission(id).reset();
    EXPECT_EQ(run({"audit", "list", "--agent", "nobody"}), Exit::Ok);
    EXPECT_EQ(out(), "no missions\n");
    write(console_.places.mission(id) + "/mission.json", "{");

    EXPECT_EQ(run({"audit", "list", "--agent", "nobody", "--since", "1d", "--json"}), Exit::Ok) << err();

    EXPECT_THAT(out(), HasSubstr(id));
    EXPECT_THAT(out(), HasSubstr(R"("state":"unsealed")"));
    EXPECT_THAT(out(), Not(HasSubstr(kSecond)));
}

TEST_F(AuditList, ABrokenChainIsAFindingAndWhatIsGoodIsListed) {
    make_old_and_young();
    write(console_.places.receipts(), read(console_.places.receipts()) + "{}\n");

    EXPECT_EQ(run({"audit", "list"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr(kSecond));
    EXPECT_THAT(err(), HasSubstr("broken at line 3"));
}

// What the programs of version 0.1.0 wrote during `scripts/quickstart`. Later versions read it, unchanged, for ever.
class Recorded : public ConsoleTest {
protected:
    Recorded() {
        const std::string recorded = std::string(SANCTUM_SOURCE_DIR) + "/tests/recorded/0.1.0";
        for (const auto& [from, to] : {std::pair{"/state", console_.places.state}, {"/data", console_.places.data}}) {
            std::filesystem::copy(recorded + from, to, std::filesystem::copy_options::recursive);
        }
        for (const auto& entry : std::filesystem::directory_iterator(console_.places.missions())) {
            mission_ = entry.path().string();
        }
    }
    // A file of a version from the future.
    void make_newer(const std::string& path, const std::string& from, const std::string& to) {
        std::string text = read(path);
        ASSERT_NE(text.find(from), std::string::npos);
        text.replace(text.find(from), from.size(), to);
        write(path, text);
    }
    std::string mission_;
};

TEST_F(Recorded, LedgerReceiptsTrustAndMissionFilesOfAnOlderVersionAreRead) {
    EXPECT_EQ(run({"audit", "verify"}), Exit::Ok) << out() << err();
    EXPECT_THAT(out(), HasSubstr("sealed"));
    EXPECT_EQ(run({"show", "last"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("quickstart"));
    EXPECT_EQ(run({"audit", "show", "last"}), Exit::Ok) << err();
    EXPECT_EQ(run({"audit", "list", "--agent", "shell-script"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("sealed"));
    EXPECT_EQ(run({"trust", "--list"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("quickstart.toml"));
    EXPECT_EQ(run({"ps", "--all"}), Exit::Ok) << err();
    EXPECT_THAT(out(), HasSubstr("shell-script"));
}

TEST_F(Recorded, AFileOfANewerVersionIsRefusedWithASentence) {
    make_newer(console_.places.trust(), R"("schema":1)", R"("schema":2)");
    EXPECT_NE(run({"trust", "--list"}), Exit::Ok);
    EXPECT_THAT(err(), HasSubstr("newer Sanctum"));
    make_newer(mission_ + "/mission.json", R"("v":1)", R"("v":2)");
    EXPECT_NE(run({"accept", "last"}), Exit::Ok);
    EXPECT_THAT(err(), HasSubstr("mission.json has version 2; read it with the newer Sanctum"));
    make_newer(mission_ + "/ledger.jsonl", R"("v":1)", R"("v":2)");
    EXPECT_EQ(run({"audit", "verify"}), Exit::Finding);
    EXPECT_THAT(out(), HasSubstr("newer Sanctum"));
}

}  // namespace
}  // namespace sanctum::console::test
