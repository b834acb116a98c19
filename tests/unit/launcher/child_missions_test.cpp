// SPDX-License-Identifier: Apache-2.0
// The parent's side of delegation, with the agent, the child's launcher and the interceptor played by the test: who is
// let in, what is recorded before anything runs, and how it ends.
#include "launcher/run/child_missions.hpp"

#include "launcher/run/delegation_words.hpp"
#include "tests/unit/launcher/fake_ledger.hpp"

#include "base/limits.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using std::chrono::seconds;

constexpr const char* kChildId = "01k0000000000000000000000c";

constexpr int kTurnsMax = 1200;  // of the loop, each of at most a tenth of a second: what comes, comes before

/// A mission whose standby starts, in place of a child's launcher, `sh`: it hands the test the socket to the parent.
class ChildMissionsTest : public testing::Test {
protected:
    ChildMissionsTest() {
        std::string name = (std::filesystem::temp_directory_path() / "sanctum-child-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        prepared.places.state = prepared.places.runtime = folder;
        prepared.places.commands = prepared.places.programs = folder;
        prepared.mission.id = "01k0000000000000000000000m";
        prepared.plan.host_uid = ::geteuid();
    }
    ~ChildMissionsTest() override {
        missions.reset();
        if (standby) standby->dismiss();
        std::filesystem::remove_all(folder);
    }
    /// `script` is what a child's launcher does; its socket to the parent is descriptor 3, the agent's 4. It calls the
    /// folder `$folder`: its name may hold what a shell would split or expand.
    void start(const std::string& script) {
        const std::string path = folder + "/sanctum-run";
        std::ofstream(path) << "#!/bin/sh\nfolder=${0%/*}\n" << script << "\n";
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        standby.emplace(std::move(*Standby::start({prepared.places, prepared.mission.id, {}, prepared.care})));
        record = std::make_unique<MissionRecord>(std::make_unique<FakeLedger>(log), prepared.mission, prepared.catalog);
        auto channels = wire::make_channel_pair();
        interceptor.process.channel = wire::Channel(std::move(channels->first));
        interceptor_end = wire::Channel(std::move(channels->second));
        UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        address.sun_family = AF_UNIX;
        const std::string place = folder + "/delegate.sock";
        place.copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        ASSERT_EQ(::listen(listener.get(), 16), 0);
        loop.emplace(std::move(*EventLoop::create()));
        missions = std::move(*ChildMissions::open(std::move(listener),
                                                  {prepared, 1'000'000'000, *loop, *record, *standby, interceptor,
                                                   [this](Status status) {
                                                       if (!status) failures.push_back(status.error().what);
                                                   }}));
    }
    UniqueFd connect() {
        UniqueFd client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        return client;
    }
    /// Serves the loop until something is on record.
    void serve_until_records(std::size_t count) {
        for (int turn = 0; turn < kTurnsMax && log.records.size() < count; ++turn) {
            ASSERT_TRUE(loop->turn(std::chrono::milliseconds(100)));
        }
        ASSERT_EQ(log.records.size(), count);
    }
    ChildAnswer answer_to(const UniqueFd& client) {
        for (int turn = 0; turn < kTurnsMax; ++turn) {
            const auto datagram = receive_child_datagram(client.get());
            if (!datagram) break;
            if (*datagram) return wire::from_json<ChildAnswer>((*datagram)->text).value();
            EXPECT_TRUE(loop->turn(std::chrono::milliseconds(50)));
        }
        return {};
    }
    /// Script: sends the file `offer` as one datagram and keeps the parent's answer, or its silence, in `word`. The
    /// socket does not wait, so it is asked until there is one.
    [[nodiscard]] static std::string offer_and_hear() {
        const std::string dd = "dd bs=64k count=1 status=none 2>/dev/null";
        return dd + " <\"$folder/offer\" >&3; for turn in $(seq 500); do " + dd +
               " <&3 >\"$folder/word\" && break; sleep 0.02; done";
    }
    [[nodiscard]] std::string refusal(std::size_t at) const {
        const auto* refused = std::get_if<ledger::ChildRefused>(&log.records.at(at));
        return refused == nullptr ? "" : refused->reason;
    }

    std::string folder;
    PreparedMission prepared;
    std::optional<Standby> standby;
    FakeLedgerLog log;
    std::unique_ptr<MissionRecord> record;
    Peer interceptor{{}, PeerProtocol(Role::Interceptor)};
    wire::Channel interceptor_end;
    sockaddr_un address{};
    std::optional<EventLoop> loop;
    std::unique_ptr<ChildMissions> missions;
    std::vector<std::string> failures;
};

// What a channel sends, for a file: one write of it to the socket is one datagram.
std::string datagram_of(const std::string& head) {
    std::string out;
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((head.size() >> (8 * i)) & 0xffU));
    return out + head;
}

std::string offer(const std::vector<std::uint64_t>& shares) {
    return datagram_of(wire::encode(wire::ChildOffered{kChildId, "child", "ab", {"true"}, shares}));
}

TEST_F(ChildMissionsTest, ALauncherThatSaysNothingIsARefusalOnRecord) {
    start("exit 0");
    const UniqueFd client = connect();

    serve_until_records(1);

    EXPECT_EQ(refusal(0), "setup");
    EXPECT_TRUE(missions->is_empty());
    EXPECT_TRUE(failures.empty());
}

TEST_F(ChildMissionsTest, AnOfferIsOnRecordBeforeTheChildIsAdmitted) {
    std::ofstream(folder + "/offer") << offer({});
    // Then it leaves without an end.
    start(offer_and_hear());
    const UniqueFd client = connect();

    serve_until_records(2);

    EXPECT_EQ(std::get<ledger::ChildStarted>(log.records[0]).child, kChildId);
    const auto& ended = std::get<ledger::ChildEnded>(log.records[1]);
    EXPECT_EQ(ended.reason, "lost");
    EXPECT_EQ(ended.receipt, "");
    std::ifstream word(folder + "/word");
    const std::string said((std::istreambuf_iterator<char>(word)), {});
    EXPECT_NE(said.find("child.admitted"), std::string::npos);
}

TEST_F(ChildMissionsTest, AChildThatTheRecordCannotTakeDoesNotRun) {
    std::ofstream(folder + "/offer") << offer({});
    start(offer_and_hear() + R"(; mv "$folder/word" "$folder/said")");
    log.has_failed = true;
    const UniqueFd client = connect();

    for (int turn = 0; turn < kTurnsMax && !std::filesystem::exists(folder + "/said"); ++turn) {
        ASSERT_TRUE(loop->turn(std::chrono::milliseconds(50)));
    }

    std::ifstream word(folder + "/said");
    const std::string said((std::istreambuf_iterator<char>(word)), {});
    EXPECT_EQ(said.find("child.admitted"), std::string::npos);
    EXPECT_FALSE(failures.empty()) << "and the parent ends";
}

TEST_F(ChildMissionsTest, ABudgetIsSharedByTheInterceptorOrTheChildIsRefused) {
    prepared.mission.budgets.resize(1);
    prepared.mission.budgets[0].limit = 5;
    std::ofstream(folder + "/offer") << offer({3});
    start("dd if=\"$folder/offer\" bs=64k count=1 status=none >&3; exec sleep 60");
    const UniqueFd client = connect();
    std::optional<wire::Packet> asked;
    for (int turn = 0; turn < kTurnsMax && !asked; ++turn) {
        ASSERT_TRUE(loop->turn(std::chrono::milliseconds(50)));
        asked = interceptor_end.receive().value();
    }
    const wire::ShareBudget share = asked->as<wire::ShareBudget>().value();
    EXPECT_EQ(share.shares, (std::vector<std::uint64_t>{3}));
    EXPECT_TRUE(log.records.empty()) << "nothing runs before the answer";

    missions->on_budget_shared({share.child, 0, 1});

    ASSERT_EQ(log.records.size(), 1U);
    EXPECT_EQ(refusal(0), "budget");
    EXPECT_TRUE(missions->is_empty());
}

TEST_F(ChildMissionsTest, AnOfferThatIsNoneEndsThatChildAlone) {
    std::ofstream(folder + "/offer") << datagram_of(wire::encode(wire::ChildOffered{"../..", "x", "", {}, {}}));
    start("dd if=\"$folder/offer\" bs=64k count=1 status=none >&3; exec sleep 60");
    const UniqueFd client = connect();

    serve_until_records(1);

    EXPECT_EQ(refusal(0), "setup");
    EXPECT_TRUE(failures.empty());
}

TEST_F(ChildMissionsTest, MoreThanTheMostAtOneTimeAreTurnedAway) {
    start("exec sleep 60");
    std::vector<UniqueFd> clients;
    for (std::size_t i = 0; i < kChildMissionsMax; ++i) clients.push_back(connect());
    ASSERT_TRUE(loop->turn(std::chrono::milliseconds(1000)));
    clients.push_back(connect());

    const ChildAnswer answer = answer_to(clients.back());

    EXPECT_EQ(answer.event, "refused");
    EXPECT_NE(answer.what.find("are the most at one time"), std::string::npos) << answer.what;
    ASSERT_EQ(log.records.size(), 1U);
    EXPECT_EQ(refusal(0), "limit");
}

TEST_F(ChildMissionsTest, AStrangerIsTurnedAway) {
    prepared.plan.host_uid = ::geteuid() + 1;
    start("exec sleep 60");
    const UniqueFd client = connect();

    EXPECT_EQ(answer_to(client).event, "refused");
    EXPECT_EQ(refusal(0), "request");
    EXPECT_TRUE(missions->is_empty());
}

TEST_F(ChildMissionsTest, NobodyIsLetInAtTheEnd) {
    start("exec sleep 60");
    const UniqueFd before = connect();
    ASSERT_TRUE(loop->turn(std::chrono::milliseconds(1000)));
    ASSERT_FALSE(missions->is_empty());

    missions->end_all("its parent mission ended");
    UniqueFd late(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    EXPECT_NE(::connect(late.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    missions->give_up();

    EXPECT_TRUE(missions->is_empty());
    EXPECT_EQ(refusal(0), "setup");
}

}  // namespace
}  // namespace sanctum::launcher
