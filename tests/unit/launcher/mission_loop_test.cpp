// SPDX-License-Identifier: Apache-2.0
// The running mission, with interceptor, vault and init played by the test at the other ends of their sockets: every
// order of messages, every death, every way to end.
#include "launcher/run/mission_loop.hpp"

#include "base/build_id.hpp"
#include "launcher/confine/reports.hpp"
#include "tests/unit/launcher/fake_ledger.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// A process that does nothing until it is killed.
pid_t fork_sleeper() {
    const pid_t pid = ::fork();
    if (pid == 0) {
        for (;;) ::pause();
    }
    return pid;
}

UniqueFd pidfd_of(pid_t pid) { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

/// A peer of the launcher and the test's end of its channel.
struct Played {
    Peer peer;
    wire::Channel end;

    explicit Played(Role role) : peer{{}, PeerProtocol(role)} {
        auto ends = wire::make_channel_pair();
        EXPECT_TRUE(ends);
        const pid_t pid = fork_sleeper();
        peer.process = {std::string(name_of(role)), pid, false, pidfd_of(pid), wire::Channel(std::move(ends->first))};
        end = wire::Channel(std::move(ends->second));
        wire::Packet hello;
        hello.kind = wire::Kind::Hello;
        wire::Packet ready;
        ready.kind = role == Role::Vault ? wire::Kind::VaultReady : wire::Kind::InterceptorReady;
        EXPECT_TRUE(peer.protocol.accept(hello));
        EXPECT_TRUE(peer.protocol.accept(ready));
    }
    ~Played() { kill_program(peer.process); }
    void die() {
        ::kill(peer.process.pid, SIGKILL);
        end.close();
    }
};

class MissionLoopTest : public testing::Test {
protected:
    MissionLoopTest() {
        std::string name = (std::filesystem::temp_directory_path() / "sanctum-loop-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        prepared.places.runtime = folder + "/run";
        prepared.places.state = folder + "/state";
        prepared.places.commands = prepared.places.programs = folder;
        prepared.mission.id = "01k0000000000000000000000m";
        times = {clock.wall().unix_ms, clock.wall().unix_ms + 60'000, clock.boot().ms + 60'000};
        signals.emplace(std::move(*Signals::block()));
        auto reports = make_report_pair();
        EXPECT_TRUE(reports);
        agent.init_pid = fork_sleeper();
        agent.init_pidfd = pidfd_of(agent.init_pid);
        agent.agent_pid = agent.init_pid;
        agent.events = std::move(reports->first);
        EXPECT_EQ(::fcntl(agent.events.get(), F_SETFL, O_NONBLOCK), 0);
        init = std::move(reports->second);
        standby.emplace(std::move(*Standby::start({prepared.places, prepared.mission.id, {}, prepared.care})));
        record = std::make_unique<MissionRecord>(std::make_unique<FakeLedger>(log), prepared.mission, prepared.catalog);
        loop.emplace(MissionParts{prepared, times, agent, interceptor.peer, vault.peer, *record, *signals, terminal,
                                  *standby, clock, -1});
        auto control = ControlListener::open(prepared.places.control_socket(prepared.mission.id));
        EXPECT_TRUE(control);
        EXPECT_TRUE(loop->begin(std::move(*control)));
        EXPECT_TRUE(loop->attend_agent());
    }
    ~MissionLoopTest() override {
        loop.reset();
        kill_tree(agent);
        standby->dismiss();
        std::filesystem::remove_all(folder);
    }
    void init_says(InitEvent::What what, int value) {
        EXPECT_TRUE(send_report(init.get(), static_cast<std::uint8_t>(what), value));
    }
    // What the launcher told init, waiting for it.
    std::pair<InitOrder, int> init_hears() {
        const auto report = await_report(init.get(), seconds(10));
        EXPECT_TRUE(report);
        return {static_cast<InitOrder>(report->what), report->value};
    }
    static wire::ExchangeIntent intent(std::uint64_t exchange, bool durable) {
        wire::ExchangeIntent message;
        message.exchange = exchange;
        message.durable = durable;
        return message;
    }
    // Plays both peers' part of an orderly end.
    std::jthread orderly_peers() {
        return std::jthread([this] {
            if (interceptor.end.receive_within(seconds(10))) {
                EXPECT_TRUE(interceptor.end.send(wire::Stopped{}));
                interceptor.die();
            }
            if (vault.end.receive_within(seconds(10))) {
                wire::LeaseChanged lease;
                lease.lease = "l1";
                lease.state = "gone";
                EXPECT_TRUE(vault.end.send(lease));
                EXPECT_TRUE(vault.end.send(wire::Retired{1, 0, 0, 0}));
                vault.die();
            }
        });
    }

    std::string folder;
    SystemClock clock;
    PreparedMission prepared;
    MissionTimes times;
    std::optional<Signals> signals;
    Terminal terminal = Terminal::over(UniqueFd());
    ConfinedAgent agent;
    UniqueFd init;
    Played interceptor{Role::Interceptor};
    Played vault{Role::Vault};
    std::optional<Standby> standby;
    FakeLedgerLog log;
    std::unique_ptr<MissionRecord> record;
    std::optional<MissionLoop> loop;
};

TEST_F(MissionLoopTest, TheCommandsOwnCodeIsTheEnd) {
    init_says(InitEvent::What::Started, 0);
    init_says(InitEvent::What::Exited, 7);

    const Ending ending = loop->run();

    EXPECT_EQ(ending.reason, EndReason::Exit);
    EXPECT_EQ(ending.exit_code, 7);
}

TEST_F(MissionLoopTest, ASignalledCommandIs128AndTheSignal) {
    init_says(InitEvent::What::Signalled, SIGSEGV);

    EXPECT_EQ(loop->run().exit_code, 128 + SIGSEGV);
}

TEST_F(MissionLoopTest, InitsTimerIsTheEndOfTime) {
    init_says(InitEvent::What::TimeRanOut, 0);

    EXPECT_EQ(loop->run().exit_code, kExitTimeRanOut);
}

TEST_F(MissionLoopTest, RecordsArriveInTheLedgerAndDurableOnesAreAnswered) {
    ASSERT_TRUE(interceptor.end.send(intent(1, true)));
    std::jthread player([this] {
        const auto answer = interceptor.end.receive_within(seconds(10));
        EXPECT_TRUE(answer);
        if (answer) {
            const auto recorded = answer->as<wire::Recorded>();
            EXPECT_TRUE(recorded && recorded->exchange == 1 && recorded->ok);
        }
        init_says(InitEvent::What::Exited, 0);
    });

    EXPECT_EQ(loop->run().reason, EndReason::Exit);

    ASSERT_EQ(log.records.size(), 1U);
    EXPECT_TRUE(std::holds_alternative<wire::ExchangeIntent>(log.records[0]));
}

TEST_F(MissionLoopTest, ALedgerThatFailsAnswersNoAndEndsTheMission) {
    log.has_failed = true;
    ASSERT_TRUE(interceptor.end.send(intent(1, true)));

    const Ending ending = loop->run();

    EXPECT_EQ(ending.reason, EndReason::Lost);
    EXPECT_THAT(ending.what, HasSubstr("record"));
}

TEST_F(MissionLoopTest, AMessageOutOfOrderEndsTheMission) {
    ASSERT_TRUE(interceptor.end.send(wire::Stopped{}));

    const Ending ending = loop->run();

    EXPECT_EQ(ending.reason, EndReason::Lost);
    EXPECT_EQ(ending.exit_code, 128 + SIGKILL);
    EXPECT_THAT(ending.what, HasSubstr("unexpected message stopped while serving"));
}

TEST_F(MissionLoopTest, AnOutcomeWithoutAnIntentEndsTheMission) {
    wire::ExchangeOutcome outcome;
    outcome.exchange = 3;
    ASSERT_TRUE(interceptor.end.send(outcome));

    EXPECT_THAT(loop->run().what, HasSubstr("outcome without an intent"));
}

TEST_F(MissionLoopTest, AMessageOfTheOtherRoleEndsTheMission) {
    ASSERT_TRUE(vault.end.send(intent(1, false)));

    EXPECT_EQ(loop->run().reason, EndReason::Lost);
}

TEST_F(MissionLoopTest, TheInterceptorsDeathEndsTheMissionWithWhatItStillSaid) {
    ASSERT_TRUE(interceptor.end.send(intent(1, false)));
    interceptor.die();

    const Ending ending = loop->run();

    EXPECT_EQ(ending.reason, EndReason::Lost);
    EXPECT_THAT(ending.what, HasSubstr("interceptor"));
    EXPECT_EQ(log.records.size(), 1U);
}

TEST_F(MissionLoopTest, TheVaultsDeathEndsTheMission) {
    vault.die();

    const Ending ending = loop->run();

    EXPECT_EQ(ending.reason, EndReason::Lost);
    EXPECT_THAT(ending.what, HasSubstr("vault"));
}

TEST_F(MissionLoopTest, InitsDeathEndsTheMission) {
    init.reset();
    ::kill(agent.init_pid, SIGKILL);

    EXPECT_EQ(loop->run().reason, EndReason::Lost);
}

TEST_F(MissionLoopTest, AnEndThatWasReportedBeforeInitDiedIsTheEnd) {
    init_says(InitEvent::What::Exited, 3);
    init.reset();
    ::kill(agent.init_pid, SIGKILL);

    EXPECT_EQ(loop->run().exit_code, 3);
}

TEST_F(MissionLoopTest, SignalsAreForwardedAndASecondTermEndsTheMission) {
    for (const int signal : {SIGUSR1, SIGHUP, SIGINT, SIGTERM}) ASSERT_EQ(::kill(::getpid(), signal), 0);
    std::jthread player([this] {
        std::vector<int> heard;
        for (int i = 0; i < 4; ++i) heard.push_back(init_hears().second);
        EXPECT_THAT(heard, testing::UnorderedElementsAre(SIGUSR1, SIGHUP, SIGINT, SIGTERM));
        ::kill(::getpid(), SIGTERM);
    });

    const Ending ending = loop->run();

    EXPECT_EQ(ending.reason, EndReason::Signal);
    EXPECT_EQ(ending.exit_code, 128 + SIGTERM);
}

TEST_F(MissionLoopTest, RevokeOnTheControlSocketEndsTheMission) {
    UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = prepared.places.control_socket(prepared.mission.id);
    std::memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string request =
        "{\"v\":1,\"request\":\"show\"}\n{\"v\":1,\"request\":\"revoke\",\"reason\":\"enough\"}\n";
    ASSERT_EQ(::send(client.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));

    const Ending ending = loop->run();

    EXPECT_EQ(ending.exit_code, kExitRevoked);
    EXPECT_THAT(ending.what, HasSubstr("enough"));
    std::string answer(8192, '\0');
    const ssize_t size = ::recv(client.get(), answer.data(), answer.size(), 0);
    answer.resize(static_cast<std::size_t>(std::max<ssize_t>(0, size)));
    EXPECT_THAT(answer, HasSubstr("\"state\":\"running\""));
    EXPECT_THAT(answer, HasSubstr("\"processes\":{\"launcher\":" + std::to_string(::getpid())));
    EXPECT_THAT(answer, HasSubstr("\"state\":\"ending\"}\n"));
}

TEST_F(MissionLoopTest, AnAskIsAnsweredWithUnavailable) {
    wire::Ask ask;
    ask.exchange = 4;
    ask.verdict = "ask";
    ASSERT_TRUE(interceptor.end.send(ask));
    std::jthread player([this] {
        const auto packet = interceptor.end.receive_within(seconds(10));
        EXPECT_TRUE(packet);
        if (packet) {
            EXPECT_EQ(packet->as<wire::Answer>()->reason, "approval_unavailable");
        }
        init_says(InitEvent::What::Exited, 0);
    });

    EXPECT_EQ(loop->run().exit_code, 0);
}

TEST_F(MissionLoopTest, AnOrderlyEndStopsRetiresAndCountsTheLeases) {
    init_says(InitEvent::What::Exited, 0);
    const Ending ending = loop->run();
    const pid_t init_pid = agent.init_pid;
    const std::jthread players = orderly_peers();

    const ledger::MissionEnded ended = loop->wind_down(ending);

    EXPECT_EQ(ended.reason, "exit");
    EXPECT_EQ(ended.gone, 1U);
    EXPECT_EQ(ended.parked, 0U);
    EXPECT_EQ(loop->state(), "ending");
    EXPECT_NE(::kill(init_pid, 0), 0);  // nothing of the tree is left
}

TEST_F(MissionLoopTest, WhatWasUnderWayWhenTheEndBeganIsStillRecorded) {
    init_says(InitEvent::What::Exited, 0);
    const Ending ending = loop->run();
    std::jthread players([this] {
        ASSERT_TRUE(interceptor.end.receive_within(seconds(10)));
        EXPECT_TRUE(interceptor.end.send(intent(1, false)));
        wire::ExchangeOutcome outcome;
        outcome.exchange = 1;
        EXPECT_TRUE(interceptor.end.send(outcome));
        EXPECT_TRUE(interceptor.end.send(wire::Stopped{1}));
        interceptor.die();
        vault.die();
    });

    static_cast<void>(loop->wind_down(ending));

    EXPECT_EQ(log.records.size(), 2U);
}

TEST_F(MissionLoopTest, APeerThatDiesWhileStoppingDoesNotHoldUpTheEnd) {
    init_says(InitEvent::What::Exited, 0);
    const Ending ending = loop->run();
    interceptor.die();
    vault.die();

    const ledger::MissionEnded ended = loop->wind_down(ending);

    EXPECT_EQ(ended.reason, "exit");
}

}  // namespace
}  // namespace sanctum::launcher
