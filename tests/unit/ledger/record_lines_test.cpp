// SPDX-License-Identifier: Apache-2.0
// The bytes of every record type, and that reading gives back what was written.
#include "base/digest.hpp"
#include "base/limits.hpp"
#include "ledger/read_ledger.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

namespace sanctum::ledger::test {
namespace {

std::string line_of(const LineRecord& record) {
    std::string out;
    append_line(out, LineHead{7, kTime, kMission, {}}, record);
    return out;
}

const std::string kHead =
    R"("mission":"01kabcdefghjkmnpqrstvwxyz0","prev":")" + std::string(64, '0') + "\"";

std::string expected(const std::string& type, const std::string& members) {
    return R"({"v":1,"seq":7,"t":"2026-11-22T02:06:12.001Z","type":")" + type + R"(",)" + kHead + "," + members + "}";
}

TEST(RecordLines, MissionStartedHasTheMembersOfTheFormatInItsOrder) {
    const StartedLine line{started(), "ed25519:9c00112233445566", "boot", 12};

    EXPECT_EQ(line_of(line),
              expected("mission.started",
                       R"("agent":"triage-bot","profile_sha256":")" + std::string(64, 'a') +
                           R"(","overrides":["ttl=10m"],"command":["sh","job.sh"],)"
                           R"("enforced":{"landlock_abi":7,"limits":"rlimits","watch":true},)"
                           R"("key":"ed25519:9c00112233445566","name":"triage","purpose":"label new issues",)"
                           R"("granted":{"git":["fetch","push"]},"boot_id":"boot","boot_ms":12)"));
}

TEST(RecordLines, LeaseChangedShowsNullWhereTheSourceDoesNotSay) {
    EXPECT_EQ(line_of(lease("held")),
              expected("lease.changed",
                       R"("lease":"l1","service":"git","account":"quickstart","state":"held","asked":["push"],)"
                       R"("received":null,"narrowed_by":"proxy","retire":"self",)"
                       R"("expires":"2026-11-22T02:16:12.001Z","thumbprint":")" +
                           std::string(64, 'c') + "\""));
}

TEST(RecordLines, ConnectionOpenedNamesTheClaimedProcess) {
    const ConnectionRecord record{1, "198.18.0.4:443", "git.quickstart.test",
                                  ClaimedProcess{12, "/usr/lib/git-core/git-remote-http", {"git", "sh"}}};

    EXPECT_EQ(line_of(record),
              expected("connection.opened",
                       R"("connection":"c1","dialled":"198.18.0.4:443","name":"git.quickstart.test",)"
                       R"("process":{"pid":12,"exe":"/usr/lib/git-core/git-remote-http","chain":["git","sh"],)"
                       R"("claimed":true})"));
}

TEST(RecordLines, ConnectionRefusedHasNullForAnUnknownProcess) {
    const RefusedConnections record{{"192.0.2.1:444", "no_listener", std::nullopt}, 1};

    EXPECT_EQ(line_of(record), expected("connection.refused",
                                        R"("dialled":"192.0.2.1:444","reason":"no_listener","process":null)"));
    const RefusedConnections opened{{"198.18.0.4:443", "not_tls", std::nullopt, 7}, 1};
    EXPECT_EQ(line_of(opened),
              expected("connection.refused",
                       R"("dialled":"198.18.0.4:443","reason":"not_tls","process":null,"connection":"c7")"));
}

TEST(RecordLines, ExchangeIntentHasTheMembersOfTheFormatInItsOrder) {
    std::string hash;
    for (int i = 0; i < 32; ++i) hash += "11";

    EXPECT_EQ(line_of(intent(1)),
              expected("exchange.intent",
                       R"("exchange":"e1","connection":"c1","service":"git","operation":"git.push","method":"POST",)"
                       R"("host":"git.quickstart.test","path":"/git/demo.git/git-receive-pack","query":{},)"
                       R"("needed":[["push"]],"resources":{"ref":["refs/heads/agent/x"],"repo":["demo.git"]},)"
                       R"("risk":"medium","verdict":"allow","rule":"grant","lease":"l1","approval":null,"head":")" +
                           hash + R"(","body":null)"));
}

TEST(RecordLines, ExchangeOutcomeAndRefusalHaveTheMembersOfTheFormat) {
    std::string hash;
    for (int i = 0; i < 32; ++i) hash += "22";

    EXPECT_EQ(line_of(outcome(1)), expected("exchange.outcome",
                                            R"("exchange":"e1","status":200,"outcome":"complete","sent":20003121,)"
                                            R"("received":52,"body":")" +
                                                hash + R"(","scrubbed":0,"evidence":{})"));
    EXPECT_EQ(line_of(Refusals{refused(2), 1, 0}),
              expected("exchange.refused",
                       R"("exchange":"e2","connection":"c1","service":"git","operation":"git.push","method":"POST",)"
                       R"("host":"git.quickstart.test","path":"/git/demo.git/git-receive-pack",)"
                       R"("reason":"resource_outside","rule":"resources.ref","status":403)"));
}

TEST(RecordLines, MissionEndedHasTheMembersOfTheFormat) {
    EXPECT_EQ(line_of(ended()),
              expected("mission.ended",
                       R"("reason":"exit","code":0,"leases":{"gone":1,"expired":0,"parked":0,"orphaned":0},)"
                       R"("held_files":[".git/hooks/post-commit"],"repaired":0)"));
    MissionEnded held = ended();
    held.held_sha256 = {"aa"};
    EXPECT_EQ(line_of(held),
              expected("mission.ended",
                       R"("reason":"exit","code":0,"leases":{"gone":1,"expired":0,"parked":0,"orphaned":0},)"
                       R"("held_files":[".git/hooks/post-commit"],"repaired":0,"held_sha256":["aa"])"));
}

TEST(RecordLines, AChildsRecordsHaveTheMembersOfTheFormat) {
    EXPECT_EQ(line_of(ChildStarted{"01kc", "review", "bb", {"true"}}),
              expected("child.started", R"("child":"01kc","name":"review","profile_sha256":"bb","command":["true"])"));
    EXPECT_EQ(line_of(ChildRefused{"budget", "nothing left"}),
              expected("child.refused", R"("reason":"budget","detail":"nothing left")"));
    EXPECT_EQ(line_of(ChildEnded{"01kc", "exit", 0, "cc"}),
              expected("child.ended", R"("child":"01kc","reason":"exit","code":0,"receipt":"cc","detail":null)"));
}

// AUD-12: whatever the agent puts into a name, the line stays one line of valid JSON.
TEST(RecordLines, HostileWordsCannotEndALineOrAMember) {
    wire::ExchangeRefused hostile = refused(2);
    hostile.path = "/\n{\"v\":1}\x1b[2J\"\\\xff\xe2\x80\xae";

    const std::string line = line_of(Refusals{hostile, 1, 0});

    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    const Result<ReadRecord> read = parse_record(line);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_EQ(std::get<Refusals>(read->record).refused.path, "/\n{\"v\":1}\x1b[2J\"\\\xef\xbf\xbd\xe2\x80\xae");
}

TEST(RecordLines, EveryRecordReadsBackToTheSameBytes) {
    wire::LeaseChanged gone = lease("gone");
    gone.received = {"push"};
    gone.first_used_unix_ms = gone.last_used_unix_ms = kTime;
    gone.detail = "returned";
    wire::ExchangeIntent held = intent(5);
    held.body.emplace().fill(3);
    held.query = {{"ref", "x"}};
    wire::ExchangeRefused push = refused(6);
    push.sent_status = 200;
    MissionStarted degraded = started();
    degraded.limits_missing = {"cpus"};
    degraded.parent = "01kabcdefghjkmnpqrstvwxyz9";
    const ApprovalChanged approval{"a1", 3, {}, "approved", "uid:1000", "control", kTime};
    const std::vector<LineRecord> records = {
        StartedLine{degraded, "ed25519:00", "", 0}, ConnectionRecord{1, "198.18.0.4:443", "", std::nullopt},
        RefusedConnections{{"", "no_listener", ClaimedProcess{1, "x", {}}}, 9}, held, Refusals{refused(2), 5, 9},
        Refusals{push, 1, 0}, outcome(1), gone, approval, HeadSigned{6, {}, "c2ln"}, ended(),
        ChildStarted{"01kabcdefghjkmnpqrstvwxyz1", "review", std::string(64, 'b'), {"sh", "-c", "x"}},
        ChildRefused{"wider", "child.toml:4:7: error: `ttl` is longer than the parent's"},
        ChildEnded{"01kabcdefghjkmnpqrstvwxyz1", "exit", 7, std::string(64, 'c')},
        ChildEnded{"01kabcdefghjkmnpqrstvwxyz1", "lost", 137, "", "its launcher ended without a word"}};

    for (const LineRecord& record : records) {
        const std::string line = line_of(record);
        const Result<ReadRecord> read = parse_record(line);
        ASSERT_TRUE(read) << line << "\n" << read.error().what;
        EXPECT_EQ(line_of(read->record), line);
        EXPECT_EQ(read->unix_ms, kTime);
    }
}

TEST(ParseRecord, RefusesWhatIsNotExactlyARecord) {
    const std::string good = line_of(outcome(1));
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string out = good;
        out.replace(out.find(from), from.size(), to);
        return out;
    };
    const std::vector<std::string> bad = {
        "", "{}", "[]", "null", good + "x", good.substr(0, good.size() - 1), with("\"v\":1", "\"v\":2"),
        with("\"e1\"", "\"e01\""), with("\"e1\"", "\"x1\""), with("\"e1\"", "\"e\""), with(":200", ":200.5"),
        with(":200", ":70000"), with(":200", ":-1"), with("02:06:12.001Z", "02:06:61.001Z"),
        with("exchange.outcome", "exchange.guess"), with("\"status\"", "\"seq\""), with("2222", "222g"),
        with("\"evidence\":{}", "\"evidence\":[]")};

    for (const std::string& line : bad) EXPECT_FALSE(parse_record(line)) << line;
}

TEST(ParseRecord, ANewerVersionIsRefusedInWords) {
    std::string line = line_of(outcome(1));
    line.replace(line.find("\"v\":1"), 5, "\"v\":2");

    const Result<ReadRecord> read = parse_record(line);

    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::Unsupported);
}

TEST(BoundRecord, LongListsAreCutAndSaySo) {
    MissionEnded many = ended();
    many.held_files.assign(100'000, std::string(100, 'x'));
    many.held_sha256.assign(100'000, std::string(64, 'a'));
    LineRecord record = many;

    bound_record(record);

    EXPECT_LT(line_of(record).size(), kLedgerLineBytesMax);
    EXPECT_NE(std::get<MissionEnded>(record).held_files.back().find(" more)"), std::string::npos);
}

TEST(BoundRecord, AHugeWordIsCutWithItsLengthNamed) {
    MissionStarted huge = started();
    huge.command = {std::string(1'000'000, 'x')};
    LineRecord record = StartedLine{huge, "", "", 0};

    bound_record(record);

    EXPECT_LT(line_of(record).size(), kLedgerLineBytesMax);
    EXPECT_TRUE(std::get<StartedLine>(record).started.command[0].ends_with("(1000000 bytes)"));
}

TEST(Rfc3339, OnlyTheOneFormIsRead) {
    EXPECT_EQ(parse_rfc3339("2026-11-22T02:06:12.001Z"), kTime);
    for (const char* text : {"2026-11-22T02:06:12Z", "2026-11-22 02:06:12.001Z", "2026-13-22T02:06:12.001Z",
                             "2026-02-30T02:06:12.001Z", "2026-11-22T02:06:12.001+", "20x6-11-22T02:06:12.001Z"}) {
        EXPECT_FALSE(parse_rfc3339(text)) << text;
    }
}

TEST(Base64, OnlyTheCanonicalFormIsRead) {
    for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"), std::string("abc\0\xff", 5)}) {
        EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
    }
    for (const char* text : {"YQ", "YQ=", "YR==", " YQ==", "YQ==\n", "Y Q=", "YQ==YQ==", "****"}) {
        EXPECT_FALSE(from_base64(text)) << text;
    }
}

}  // namespace
}  // namespace sanctum::ledger::test
