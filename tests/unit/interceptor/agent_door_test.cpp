// SPDX-License-Identifier: Apache-2.0
// The beginning of an agent's connection: what is recorded of it, who is served, and how everybody else ends.
#include "interceptor/agent_door.hpp"
#include "loop_runs.hpp"
#include "tests/support/interceptor_world.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sanctum::interceptor {
namespace {

using std::string_literals::operator""s;

sockaddr_storage address_of(std::uint32_t host, std::uint16_t port) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    four.sin_addr.s_addr = htonl(host);
    sockaddr_storage address{};
    std::memcpy(&address, &four, sizeof(four));
    return address;
}

/// The agent's end of a connection.
struct Agent {
    UniqueFd socket;

    void send(std::string_view bytes) const {
        ASSERT_EQ(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    /// What has arrived; `is_over` tells whether the connection has ended behind it.
    [[nodiscard]] std::string receive(bool& is_over) const {
        std::string all;
        std::array<char, 4096> bytes{};
        for (;;) {
            const ssize_t size = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
            if (size < 0 && errno == EINTR) continue;
            is_over = size == 0 || (size < 0 && errno != EAGAIN);
            if (size <= 0) return all;
            all.append(bytes.data(), static_cast<std::size_t>(size));
        }
    }
};

class AgentDoorTest : public ::testing::Test {
protected:
    AgentDoorTest() : gate_(*loop_, 8), door_(*loop_, gate_, pool_, *tls_, UniqueFd(), *world_.services) {}
    ~AgentDoorTest() override {
        loop_->close_everything();
        loop_->run();
    }

    /// Somebody dials `host` (as looked up here) at `port`.
    Agent dial(const std::string& host, std::uint16_t port) {
        return dial_address(pool_.address_of(host), port);
    }
    Agent dial_address(std::uint32_t address, std::uint16_t port) {
        auto [served, agent] = loopback::tcp_pair();
        gate_.enter();
        door_.admit({std::move(served), address_of(0x0a000001, 40000), address_of(address, port)});
        loop_->run_ready();
        return {std::move(agent)};
    }
    /// Lets everything happen that can happen now. Bytes on loopback are there when send() returns.
    void settle() { loop_->run_ready(); }
    /// `c1 not_tls` for each connection that was recorded as ended before its first request.
    [[nodiscard]] std::vector<std::string> ends_on_record() const {
        std::vector<std::string> out;
        for (const wire::ConnectionRefused& refused : world_.recorder.ended_early) {
            EXPECT_TRUE(refused.dialled.starts_with("198.18.0.") && refused.dialled.ends_with(":443"));
            out.push_back("c" + std::to_string(refused.connection) + " " + refused.reason);
        }
        return out;
    }

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    test::World world_;
    AddressPool pool_;
    const WallTime now_{SystemClock().wall()};
    MissionCa ca_ = std::move(*MissionCa::create("01k0000000000000000000test", now_, {now_.unix_ms + 600'000}));
    std::unique_ptr<AgentTls> tls_ = std::move(*AgentTls::create(ca_));
    ConnectionGate gate_;
    AgentDoor door_;
};

TEST_F(AgentDoorTest, EveryConnectionIsOnRecordWithWhatWasDialledBeforeItSaysAnything) {
    const Agent named = dial("www.test", 443);
    const Agent nameless = dial_address(0xcb007107, 443);

    ASSERT_EQ(world_.recorder.opened.size(), 2U);
    EXPECT_EQ(world_.recorder.opened[0].connection, 1U);
    EXPECT_EQ(world_.recorder.opened[0].name, "www.test");
    EXPECT_EQ(world_.recorder.opened[0].dialled, "198.18.0.4:443");
    EXPECT_EQ(world_.recorder.opened[1].connection, 2U);
    EXPECT_EQ(world_.recorder.opened[1].name, "");
    EXPECT_EQ(world_.recorder.opened[1].dialled, "203.0.113.7:443");
}

TEST_F(AgentDoorTest, PlainHttpToAnAllowedHostIsServedAndToAnotherRefused) {
    const Agent allowed = dial("plain.test", 80);
    allowed.send("GET /a HTTP/1.1\r\nHost: plain.test\r\n\r\n");
    settle();
    ASSERT_EQ(world_.upstreams.opened, 1U);
    EXPECT_TRUE(world_.upstreams.wires[0]->written.starts_with("GET /a HTTP/1.1\r\nhost: plain.test\r\n"));

    const Agent refused = dial("www.test", 80);
    refused.send("GET /a HTTP/1.1\r\nHost: www.test\r\n\r\n");
    settle();
    bool is_over = false;
    EXPECT_NE(refused.receive(is_over).find("sanctum-reason: plain_http\r\n"), std::string::npos);
    EXPECT_EQ(world_.upstreams.opened, 1U);
}

TEST_F(AgentDoorTest, AnAddressThatWasNotLookedUpIsRefusedReadably) {
    const Agent agent = dial_address(0xcb007107, 80);
    agent.send("GET / HTTP/1.1\r\nHost: www.test\r\n\r\n");
    settle();

    bool is_over = false;
    EXPECT_NE(agent.receive(is_over).find("sanctum-reason: address_without_name\r\n"), std::string::npos);
    EXPECT_EQ(world_.upstreams.opened, 0U);
}

TEST_F(AgentDoorTest, PlainHttpOnTheHttpsPortIsToldSoAndNothingOfItIsRead) {
    const Agent agent = dial("www.test", 443);
    agent.send("GET /a HTTP/1.1\r\nHost: www.test\r\n\r\n");
    settle();

    bool is_over = false;
    const std::string told = agent.receive(is_over);
    EXPECT_TRUE(told.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_TRUE(told.ends_with("use https:// instead\n"));
    EXPECT_TRUE(is_over);
    EXPECT_EQ(world_.recorder.count, 0U) << "no exchange";
    EXPECT_EQ(ends_on_record(), (std::vector<std::string>{"c1 not_tls"}));
}

TEST_F(AgentDoorTest, WhatIsNeitherTlsNorHttpEndsWithoutAWord) {
    for (const std::string& bytes : {"\x05\x01\x00"s, "\0"s, "{\"jsonrpc\":\"2.0\"}"s, "\x80\x2e\x01"s}) {
        const Agent agent = dial("www.test", 443);
        agent.send(bytes);
        settle();

        bool is_over = false;
        EXPECT_EQ(agent.receive(is_over), "");
        EXPECT_TRUE(is_over);
        EXPECT_EQ(gate_.open(), 0U);
    }
    EXPECT_EQ(world_.upstreams.opened, 0U);
    EXPECT_EQ(ends_on_record(), (std::vector<std::string>{"c1 not_tls", "c2 not_tls", "c3 not_tls", "c4 not_tls"}));
}

TEST_F(AgentDoorTest, ABrokenClientHelloEndsTheConnectionAndOnlyThat) {
    const Agent other = dial("plain.test", 80);
    const Agent agent = dial("www.test", 443);
    agent.send("\x16\x03\x01\x00\x05\xff\xff\xff\xff\xff"s);
    settle();

    bool is_over = false;
    static_cast<void>(agent.receive(is_over));
    EXPECT_TRUE(is_over);
    EXPECT_EQ(gate_.open(), 1U);
    EXPECT_EQ(ends_on_record(), (std::vector<std::string>{"c2 tls_handshake"}));
    other.send("GET /a HTTP/1.1\r\nHost: plain.test\r\n\r\n");
    settle();
    EXPECT_EQ(world_.upstreams.opened, 1U);
}

TEST_F(AgentDoorTest, AnAgentThatLeavesAtAnyMomentGivesItsPlaceBack) {
    const std::string request = "GET /a HTTP/1.1\r\nHost: plain.test\r\n\r\n";
    for (std::size_t sent = 0; sent <= request.size(); ++sent) {
        Agent agent = dial("plain.test", 80);
        agent.send(request.substr(0, sent));
        settle();
        agent.socket.reset();
        settle();
        EXPECT_EQ(gate_.open(), 0U) << "after " << sent << " bytes";
    }
    EXPECT_EQ(world_.recorder.intents.size(), 1U) << "only the whole request went out";
    EXPECT_EQ(world_.recorder.outcomes.size(), 1U);
    EXPECT_EQ(world_.recorder.outcomes[0].outcome, "agent_closed");
    EXPECT_TRUE(world_.recorder.ended_early.empty()) << "it was answered as far as it spoke";
}

TEST_F(AgentDoorTest, WhoSaysNothingOrHalfAHeadIsEndedAtTheDeadlineAndNotBefore) {
    const auto now = std::chrono::steady_clock::now();
    const Agent silent = dial("www.test", 443);
    const Agent half_hello = dial("www.test", 443);
    half_hello.send("\x16\x03\x01\x02\x00"s);
    const Agent half_head = dial("plain.test", 80);
    half_head.send("GET /a HTTP/1.1\r\nHost");
    settle();

    loop_->end_overdue(now + kHandshakeTimeout / 2);
    settle();
    EXPECT_EQ(gate_.open(), 3U);

    loop_->end_overdue(now + std::max<std::chrono::milliseconds>(kHandshakeTimeout, kHeadTimeout) + seconds(5));
    settle();
    EXPECT_EQ(gate_.open(), 0U);
    for (const Agent* agent : {&silent, &half_hello, &half_head}) {
        bool is_over = false;
        static_cast<void>(agent->receive(is_over));
        EXPECT_TRUE(is_over);
    }
    EXPECT_EQ(world_.upstreams.opened, 0U);
}

TEST_F(AgentDoorTest, ANameKeepsItsAddressWhileAConnectionToItIsOpen) {
    AddressPool small(2);
    AgentDoor door(*loop_, gate_, small, *tls_, UniqueFd(), *world_.services);
    const std::uint32_t held = small.address_of("held.test");
    auto [served, agent] = loopback::tcp_pair();
    gate_.enter();
    door.admit({std::move(served), address_of(0x0a000001, 40000), address_of(held, 443)});
    settle();

    for (const char* name : {"a.test", "b.test", "c.test"}) static_cast<void>(small.address_of(name));
    EXPECT_EQ(small.name_of(held), "held.test");
    agent.reset();
    settle();
    for (const char* name : {"d.test", "e.test", "f.test"}) static_cast<void>(small.address_of(name));
    EXPECT_FALSE(small.name_of(held).has_value());
}

TEST_F(AgentDoorTest, AtTheBoundFurtherConnectionsWaitUntilOneLeaves) {
    ConnectionGate one(*loop_, 1);
    AgentDoor door(*loop_, one, pool_, *tls_, UniqueFd(), *world_.services);
    loopback::Listener listener = loopback::listener();
    const auto admit = [&](AcceptedSocket socket) { door.admit(std::move(socket)); };
    Acceptor acceptor(*loop_, one, std::move(listener.fd), admit);
    const auto connect = [&] {
        Agent agent{UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
        const sockaddr_storage to = address_of(INADDR_LOOPBACK, listener.port);
        EXPECT_EQ(::connect(agent.socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(sockaddr_in)), 0);
        return agent;
    };
    loop_->spawn(acceptor.run());
    Agent first = connect();
    const Agent second = connect();
    settle();
    EXPECT_EQ(one.open(), 1U);
    EXPECT_EQ(world_.recorder.opened.size(), 1U);

    first.socket.reset();
    settle();
    EXPECT_EQ(one.open(), 1U);
    EXPECT_EQ(world_.recorder.opened.size(), 2U) << "the second one's turn";
    acceptor.close();
    loop_->close_everything();
    loop_->run();
    EXPECT_EQ(one.open(), 0U);
}

TEST_F(AgentDoorTest, ClosingEverythingEndsEveryConnectionWithItsOutcome) {
    const Agent idle = dial("www.test", 443);
    const Agent half_hello = dial("www.test", 443);
    half_hello.send("\x16\x03\x01\x02\x00"s);
    const Agent busy = dial("plain.test", 80);
    busy.send("GET /a HTTP/1.1\r\nHost: plain.test\r\n\r\n");
    settle();
    ASSERT_EQ(world_.recorder.intents.size(), 1U);

    world_.services->is_ending = true;
    loop_->close_everything();
    loop_->run();

    EXPECT_EQ(gate_.open(), 0U);
    EXPECT_TRUE(world_.recorder.ended_early.empty()) << "the mission's end is no fault of theirs";
    ASSERT_EQ(world_.recorder.outcomes.size(), 1U);
    EXPECT_EQ(world_.recorder.outcomes[0].outcome, "mission_ended");
}

}  // namespace
}  // namespace sanctum::interceptor
