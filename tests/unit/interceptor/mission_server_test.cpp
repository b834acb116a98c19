// SPDX-License-Identifier: Apache-2.0
// The interceptor as the launcher, the vault and the dialler see it: what it says, in which order, and that whatever
// is out of order, unknown or gone ends it with nothing more going out.
#include "interceptor/mission_server.hpp"
#include "loop_runs.hpp"
#include "tests/support/interceptor_world.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sanctum::interceptor {
namespace {

wire::Channel keep_first(Result<std::pair<UniqueFd, UniqueFd>> pair, UniqueFd& second) {
    EXPECT_TRUE(pair.has_value());
    second = std::move(pair->second);
    return wire::Channel(std::move(pair->first));
}

UniqueFd udp_socket() {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
}

class MissionServerTest : public ::testing::Test {
protected:
    void begin(std::int64_t left_ms = 600'000) {
        Start start;
        start.mission_id = world_.mission.id;
        start.salt = "salt";
        start.ends_boot_ms = SystemClock().boot().ms + left_ms;
        start.mission = world_.mission;
        loopback::Listener listener = loopback::listener();
        port_ = listener.port;
        start.listeners.push_back(std::move(listener.fd));
        start.dns_udp.push_back(udp_socket());
        UniqueFd launcher, dialler;
        launcher_ = keep_first(wire::make_channel_pair(), launcher);
        vault_ = keep_first(wire::make_channel_pair(), start.vault);
        dialler_ = keep_first(wire::make_channel_pair(), dialler);
        auto made = MissionServer::create(*loop_, std::move(start), wire::Channel(std::move(launcher)),
                                          wire::Channel(std::move(dialler)), {});
        ASSERT_TRUE(made.has_value()) << made.error().what;
        server_ = std::move(*made);
        ASSERT_TRUE(server_->serve(42).has_value());
        loop_->run_ready();
    }
    void begin_and_hear_ready() {
        begin();
        static_cast<void>(heard<wire::InterceptorReady>());
    }

    /// The next message to the launcher, which has to be of this kind.
    template <class Message>
    Message heard() {
        loop_->run_ready();
        const auto packet = launcher_.receive();
        EXPECT_TRUE(packet.has_value() && packet->has_value());
        if (!packet || !*packet) return {};
        const auto message = (*packet)->template as<Message>();
        EXPECT_TRUE(message.has_value()) << message.error().what;
        return message ? *message : Message{};
    }
    /// Everything has ended: run() returns, the launcher's channel is closed, nobody is let in.
    void expect_ended(int exit_code) {
        loop_->run();
        EXPECT_EQ(server_->exit_code(), exit_code);
        EXPECT_EQ(launcher_.is_open() ? launcher_.receive().error().code : Errc::Cancelled, Errc::Cancelled);
        EXPECT_FALSE(connect().is_open());
        EXPECT_EQ(loop_->watched(), 0U);
    }
    UniqueFd connect() const {
        UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port_);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) socket.reset();
        return socket;
    }

    std::unique_ptr<Loop> loop_ = loopback::make_loop();
    test::World world_;
    std::uint16_t port_ = 0;
    wire::Channel launcher_, vault_, dialler_;
    std::unique_ptr<MissionServer> server_;
};

TEST_F(MissionServerTest, ReadyComesFirstWithTheMissionsCertificate) {
    begin();

    const auto ready = heard<wire::InterceptorReady>();

    EXPECT_EQ(ready.dialler_pid, 42U);
    EXPECT_EQ(ready.ca_pem, server_->ca_pem());
    EXPECT_TRUE(ready.ca_pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
    launcher_.close();
    expect_ended(1);
}

TEST_F(MissionServerTest, AStopIsAnsweredOnceAndEndsEverythingWithZero) {
    begin_and_hear_ready();
    const UniqueFd agent = connect();
    ASSERT_TRUE(agent.is_open());
    EXPECT_EQ(heard<wire::ConnectionOpened>().connection, 1U);

    ASSERT_TRUE(launcher_.send(wire::Stop{0}).has_value());
    ASSERT_TRUE(launcher_.send(wire::Stop{0}).has_value());
    loop_->run();

    EXPECT_EQ(heard<wire::Stopped>().exchanges, 0U);
    expect_ended(0);
    char byte = 0;
    EXPECT_EQ(::recv(agent.get(), &byte, 1, MSG_DONTWAIT), 0) << "the agent's connection has ended";
}

TEST_F(MissionServerTest, WhatALauncherNeverSaysEndsIt) {
    const auto expect_end = [this](const auto& message) {
        begin_and_hear_ready();
        ASSERT_TRUE(launcher_.send(message).has_value());
        expect_ended(1);
        server_.reset();
    };
    expect_end(wire::Hello{"build", "launcher", 1});
    expect_end(wire::Stopped{0});
    expect_end(wire::InterceptorReady{"pem", 1});
    expect_end(wire::LeaseGone{});
    expect_end(wire::Recorded{7, true});  // an exchange that never was
}

TEST_F(MissionServerTest, BytesThatAreNoMessageEndIt) {
    for (const std::string& bytes : {std::string("x"), std::string(200, '\xff'), std::string("\2\0\0\0{}", 6)}) {
        begin_and_hear_ready();
        ASSERT_EQ(::send(launcher_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
        expect_ended(1);
        server_.reset();
    }
}

TEST_F(MissionServerTest, WithoutItsLauncherNothingGoesOn) {
    begin_and_hear_ready();
    const UniqueFd agent = connect();
    loop_->run_ready();

    launcher_.close();
    expect_ended(1);

    char byte = 0;
    EXPECT_EQ(::recv(agent.get(), &byte, 1, MSG_DONTWAIT), 0);
    EXPECT_EQ(vault_.receive().error().code, Errc::Cancelled) << "the vault sees it too";
    EXPECT_EQ(dialler_.receive().error().code, Errc::Cancelled);
}

TEST_F(MissionServerTest, AVaultThatIsGoneOnlyEndsInjection) {
    begin_and_hear_ready();

    vault_.close();
    loop_->run_ready();

    const UniqueFd agent = connect();
    ASSERT_TRUE(agent.is_open()) << "refusals are still explained";
    EXPECT_EQ(heard<wire::ConnectionOpened>().connection, 1U);
    ASSERT_TRUE(launcher_.send(wire::Stop{0}).has_value());
    loop_->run();
    static_cast<void>(heard<wire::Stopped>());
    expect_ended(0);
}

TEST_F(MissionServerTest, AVaultThatSaysWhatItNeverSaysEndsIt) {
    begin_and_hear_ready();

    ASSERT_TRUE(vault_.send(wire::Recorded{1, true}).has_value());
    loop_->run();

    EXPECT_EQ(heard<wire::Failed>().reason, "internal");
    expect_ended(1);
}

TEST_F(MissionServerTest, ADiallerThatIsGoneOrOutOfOrderEndsIt) {
    begin_and_hear_ready();
    dialler_.close();
    loop_->run();
    EXPECT_TRUE(heard<wire::Failed>().what.starts_with("dialler: "));
    expect_ended(1);
    server_.reset();

    begin_and_hear_ready();
    ASSERT_TRUE(dialler_.send(wire::Dialled{99, "", ""}).has_value());  // nobody asked
    loop_->run();
    EXPECT_TRUE(heard<wire::Failed>().what.starts_with("dialler: "));
    expect_ended(1);
}

TEST_F(MissionServerTest, AtTheEndOfTheMissionNobodyIsLetIn) {
    begin(-1);
    static_cast<void>(heard<wire::InterceptorReady>());
    loop_->run_ready();
    EXPECT_FALSE(connect().is_open());

    ASSERT_TRUE(launcher_.send(wire::Stop{0}).has_value());
    loop_->run();
    static_cast<void>(heard<wire::Stopped>());
    expect_ended(0);
}

}  // namespace
}  // namespace sanctum::interceptor
