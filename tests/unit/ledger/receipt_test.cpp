// SPDX-License-Identifier: Apache-2.0
#include "ledger/receipt.hpp"

#include "base/limits.hpp"
#include "ledger/printable.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace sanctum::ledger::test {
namespace {

Receipt receipt_of(const std::vector<LineRecord>& records) {
    ReceiptBuilder builder;
    std::int64_t at = kTime;
    for (const LineRecord& record : records) builder.add(kMission, at += 1000, record);
    return builder.build();
}

TEST(Receipt, UsedScopesAreThoseOfTheSetThatTheGrantNames) {
    wire::ExchangeIntent either = intent(1);
    either.needed = {{"admin"}, {"fetch"}, {"push"}};

    const Receipt receipt = receipt_of({StartedLine{started(), "k", "", 0}, either, outcome(1)});

    ASSERT_EQ(receipt.services.size(), 1U);
    EXPECT_THAT(receipt.services[0].needed, ::testing::ElementsAre("admin", "fetch", "push"));
    ASSERT_EQ(receipt.services[0].used.size(), 1U);
    EXPECT_EQ(receipt.services[0].used[0].scope, "fetch");
}

TEST(Receipt, FirstAndLastUseAreThoseOfTheIntents) {
    const Receipt receipt = receipt_of(
        {StartedLine{started(), "k", "", 0}, intent(1), outcome(1), intent(2), outcome(2)});

    const ReceiptScopeUse& use = receipt.services.at(0).used.at(0);
    EXPECT_EQ(use.exchanges, 2U);
    EXPECT_EQ(use.first, "2026-11-22T02:06:14.001Z");
    EXPECT_EQ(use.last, "2026-11-22T02:06:16.001Z");
}

TEST(Receipt, AnExchangeThatWasRefusedAfterItsIntentUsedNothing) {
    const Receipt receipt = receipt_of({StartedLine{started(), "k", "", 0}, intent(1), Refusals{refused(1), 1, 0}});

    EXPECT_TRUE(receipt.services.at(0).used.empty());
    EXPECT_EQ(receipt.counts.outcomes.size(), 0U);
}

TEST(Receipt, FacilitiesSayHowFarTheyWereEnforced) {
    MissionStarted weak = started();
    weak.landlock_abi = 0;
    weak.limits_missing = {"cpus"};
    weak.watch = false;

    const ReceiptEnforced enforced = receipt_of({StartedLine{weak, "k", "", 0}}).enforced;

    EXPECT_EQ(enforced.landlock, "not");
    EXPECT_EQ(enforced.limits, "partly");
    EXPECT_EQ(enforced.watch, "not");
    EXPECT_EQ(receipt_of({StartedLine{started(), "k", "", 0}}).enforced.landlock, "fully");
}

TEST(Receipt, LeasesCarryWhoNarrowedThemAndHowTheyEnded) {
    const Receipt receipt = receipt_of({StartedLine{started(), "k", "", 0}, lease("held"), lease("gone")});

    ASSERT_EQ(receipt.leases.size(), 1U);
    EXPECT_EQ(receipt.leases[0].narrowed_by, "proxy");
    EXPECT_EQ(receipt.leases[0].state, "gone");
    EXPECT_EQ(receipt.leases[0].uses, 3U);
    EXPECT_EQ(receipt.leases[0].held, "2026-11-22T02:06:14.001Z");
    EXPECT_EQ(receipt.leases[0].ended, "2026-11-22T02:06:15.001Z");
}

TEST(Receipt, LeasesSayWhenTheyWereFirstAndLastUsedAndWhyTheyEnded) {
    wire::LeaseChanged end = lease("gone");
    end.first_used_unix_ms = kTime + 2'000;
    end.last_used_unix_ms = kTime + 9'000;
    end.detail = "the mission ended; revoked at GitHub";

    const ReceiptLease row =
        receipt_of({StartedLine{started(), "k", "", 0}, lease("held"), end}).leases.at(0);

    EXPECT_EQ(row.first_used, "2026-11-22T02:06:14.001Z");
    EXPECT_EQ(row.last_used, "2026-11-22T02:06:21.001Z");
    EXPECT_EQ(row.confirmed, true);
    EXPECT_EQ(row.detail, "the mission ended; revoked at GitHub");
}

// A vault that was killed has not told its last second; the records of exchanges name the lease.
TEST(Receipt, UsesThatTheVaultDidNotTellAreThoseThatTheExchangesName) {
    wire::LeaseChanged end = lease("parked");
    end.uses = 1;
    end.first_used_unix_ms = end.last_used_unix_ms = kTime + 2'500;
    wire::ExchangeIntent of_another = intent(4);
    of_another.lease = "l9";
    const Receipt receipt =
        receipt_of({StartedLine{started(), "k", "", 0}, intent(1), lease("held"), outcome(1), intent(2), outcome(2),
                    intent(3), Refusals{refused(3), 1, 0}, of_another, outcome(4), end});

    const ReceiptLease& row = receipt.leases.at(0);
    EXPECT_EQ(row.uses, 2U) << "not what was refused after its intent, nor what had another lease";
    EXPECT_EQ(row.first_used, "2026-11-22T02:06:14.001Z");
    EXPECT_EQ(row.last_used, "2026-11-22T02:06:17.001Z");
    const ReceiptLease before = in_schema(receipt, kFirstReceiptSchema).leases.at(0);
    EXPECT_EQ(before.uses, 1U) << "what an older Sanctum signed stays what it was";
    EXPECT_FALSE(before.first_used || before.last_used || before.confirmed || before.detail);
}

TEST(Receipt, UsesThatTheVaultToldStayWhereTheExchangesNameFewer) {
    wire::LeaseChanged end = lease("gone");
    end.first_used_unix_ms = end.last_used_unix_ms = kTime + 9'000;

    const ReceiptLease row =
        receipt_of({StartedLine{started(), "k", "", 0}, intent(1), outcome(1), end}).leases.at(0);

    EXPECT_EQ(row.uses, 3U);
    EXPECT_EQ(row.first_used, "2026-11-22T02:06:21.001Z");
    EXPECT_FALSE(row.told_uses);
}

TEST(Receipt, WhatTheOperatorStoredIsDroppedAndNotConfirmedGone) {
    wire::LeaseChanged end = lease("gone");
    end.retire = "none";
    end.detail = "the mission ended; the credential itself stays valid";
    const Receipt receipt = receipt_of({StartedLine{started(), "k", "", 0}, end});

    EXPECT_EQ(receipt.leases.at(0).confirmed, false);
    const std::string words = render_receipt(receipt);
    EXPECT_NE(words.find("  end        gone at 02:06:14: the mission ended; the credential itself"),
              std::string::npos) << words;
}

TEST(Receipt, ALeaseThatMayBeAliveIsNotConfirmed) {
    const auto is_confirmed = [](const std::string& state) {
        return receipt_of({StartedLine{started(), "k", "", 0}, lease(state)}).leases.at(0).confirmed.value();
    };

    EXPECT_TRUE(is_confirmed("gone"));
    EXPECT_TRUE(is_confirmed("expired"));
    for (const char* state : {"held", "parked", "orphaned"}) EXPECT_FALSE(is_confirmed(state)) << state;
}

TEST(Receipt, ALeaseThatWasNeverUsedHasNoTimesOfUse) {
    wire::LeaseChanged end = lease("expired");
    end.uses = 0;

    const ReceiptLease row = receipt_of({StartedLine{started(), "k", "", 0}, end}).leases.at(0);

    EXPECT_EQ(row.first_used, "");
    EXPECT_EQ(row.last_used, "");
}

TEST(Receipt, AnEndsReasonIsCutBetweenTwoCharacters) {
    wire::LeaseChanged end = lease("parked");
    end.detail = std::string(kReceiptDetailBytesMax - 1, 'x') + "é" + "y";

    const ReceiptLease row = receipt_of({StartedLine{started(), "k", "", 0}, end}).leases.at(0);

    EXPECT_EQ(row.detail, std::string(kReceiptDetailBytesMax - 1, 'x') + "…");
}

TEST(Receipt, InItsFirstSchemaKeepsTheBytesThatItHadThen) {
    const Receipt receipt = receipt_of({StartedLine{started(), "k", "", 0}, lease("held"), lease("gone")});

    const std::string first = wire::to_json(in_schema(receipt, kFirstReceiptSchema));

    for (const char* member : {"first_used", "last_used", "confirmed", "detail"}) {
        EXPECT_EQ(first.find(member), std::string::npos) << member;
        EXPECT_NE(wire::to_json(receipt).find(member), std::string::npos) << member;
    }
    EXPECT_EQ(wire::to_json(wire::from_json<Receipt>(first).value()), first);
    EXPECT_EQ(wire::to_json(wire::from_json<Receipt>(wire::to_json(receipt)).value()), wire::to_json(receipt));
}

TEST(Receipt, MoreRowsThanTheBoundAreCounted) {
    std::vector<LineRecord> records = {StartedLine{started(), "k", "", 0}};
    for (std::size_t i = 0; i < kReceiptRowsMax + 5; ++i) {
        wire::LeaseChanged one = lease("held");
        one.lease = "l" + std::to_string(i);
        records.emplace_back(one);
    }

    const Receipt receipt = receipt_of(records);

    EXPECT_EQ(receipt.leases.size(), kReceiptRowsMax);
    EXPECT_EQ(receipt.more_rows, 5U);
}

TEST(Receipt, ParentAndChildrenAreNamedAndAbsentWhereThereAreNone) {
    MissionStarted as_child = started();
    as_child.parent = "01kp";
    const Receipt receipt = receipt_of({StartedLine{as_child, "k", "", 0},
                                        ChildStarted{"01kc", "review", "bb", {"true"}},
                                        ChildStarted{"01kd", "lost", "bb", {"true"}}, ChildRefused{"wider", "x"},
                                        ChildEnded{"01kc", "exit", 7, "cc"}, ChildEnded{"01kx", "exit", 0, ""}});
    const Receipt plain = receipt_of({StartedLine{started(), "k", "", 0}});

    ASSERT_EQ(receipt.children->size(), 2U);
    EXPECT_EQ(receipt.children->at(0).receipt, "cc");
    EXPECT_EQ(receipt.children->at(0).code, 7);
    EXPECT_EQ(receipt.children->at(1).ended, "");
    EXPECT_EQ(receipt.children_refused->at("wider"), 1U);
    const std::string words = render_receipt(receipt);
    EXPECT_NE(words.find("Child of     01kp\n"), std::string::npos) << words;
    EXPECT_NE(words.find("Child        01kd lost, END NOT KNOWN, no receipt\n"), std::string::npos) << words;
    const std::string text = wire::to_json(plain);
    for (const char* member : {"parent", "children", "children_refused"}) {
        EXPECT_EQ(text.find(member), std::string::npos) << member;
    }
    EXPECT_EQ(wire::to_json(wire::from_json<Receipt>(wire::to_json(receipt)).value()), wire::to_json(receipt));
}

TEST(Receipt, InWordsSaysWhatAPersonAsks) {
    MissionEnded end = ended();
    wire::LeaseChanged gone = lease("gone");
    gone.first_used_unix_ms = kTime + 4'000;
    gone.last_used_unix_ms = kTime + 5'000;
    gone.detail = "the mission ended";
    Receipt receipt = receipt_of({StartedLine{started(), "ed25519:00", "", 0}, lease("held"),
                                  ConnectionRecord{1, "198.18.0.4:443", "git", {}}, intent(1), outcome(1),
                                  Refusals{refused(2), 1, 0}, gone, end});
    receipt.head.seq = 8;

    EXPECT_EQ(render_receipt(receipt),
              "Mission 01kabcdefghjkmnpqrstvwxyz0 triage\n"
              "Agent        triage-bot\n"
              "Purpose      label new issues\n"
              "Command      sh job.sh\n"
              "Overrides    ttl=10m\n"
              "Time         2026-11-22T02:06:13.001Z to 2026-11-22T02:06:20.001Z\n"
              "End          the command ended with code 0\n"
              "Allowed      1 request (complete 1), 20003121 bytes sent, 52 received\n"
              "Refused      1 request (resource_outside 1)\n"
              "Network      1 connection opened\n"
              "Service      git\n"
              "  granted    fetch, push\n"
              "  used       push: 1 request, 02:06:16 to 02:06:16\n"
              "  never used fetch\n"
              "Credential   l1 of account quickstart for git, narrowed by proxy, 3 uses, 02:06:16 to 02:06:17, "
              "SHA-256 cccccccccccccccc\n"
              "  end        gone at 02:06:19, confirmed: the mission ended\n"
              "Enforced     namespaces fully, filter fully, Landlock fully (ABI 7), limits fully (rlimits), "
              "watch fully\n"
              "Held back    .git/hooks/post-commit\n"
              "Ledger       9 records, head 0000000000000000, key ed25519:00\n");
}

TEST(Receipt, InWordsSaysWhatMayStillBeAliveAndUntilWhen) {
    wire::LeaseChanged end = lease("parked");
    end.detail = "the mission ended; GitHub: connection refused";

    const std::string words = render_receipt(receipt_of({StartedLine{started(), "k", "", 0}, end}));
    const std::string of_first_schema =
        render_receipt(in_schema(receipt_of({StartedLine{started(), "k", "", 0}, end}), kFirstReceiptSchema));

    end.expires_unix_ms = 0;
    const std::string endless = render_receipt(receipt_of({StartedLine{started(), "k", "", 0}, end}));
    EXPECT_NE(endless.find("  end        parked at 02:06:14, may be alive, end not known: the"), std::string::npos)
        << endless;

    const std::string told = "  end        parked at 02:06:14, may be alive until 2026-11-22T02:16:12.001Z: the";
    EXPECT_NE(words.find(told), std::string::npos) << words;
    EXPECT_NE(of_first_schema.find("  end        parked at 02:06:14\n"), std::string::npos) << of_first_schema;
}

// APP-05, AUD-12: a terminal gets printable ASCII and our own newlines, whatever the agent called itself.
TEST(Printable, NothingButPrintableAsciiIsLeft) {
    const std::vector<std::string> hostile = {
        "\x1b[2J", "a\nb", "\r", "\t", std::string(1, '\0'), "\x7f", "\xe2\x80\xae" "txt.exe", "\xe2\x80\x8b",
        "\xd0\xb0pple", "\xff\xfe", "\xc2", "\xf0\x9f\x98\x80", "\x9b" "31m", "plain", "\\n"};

    for (const std::string& text : hostile) {
        const std::string shown = printable(text);
        EXPECT_TRUE(std::all_of(shown.begin(), shown.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) << shown;
    }
    EXPECT_EQ(printable("a\nb"), "a\\nb");
    EXPECT_EQ(printable("a\\nb"), "a\\\\nb");
    EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
    EXPECT_EQ(printable("\xe2\x80\xae"), "\\u{202e}");
}

}  // namespace
}  // namespace sanctum::ledger::test
