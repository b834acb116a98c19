// SPDX-License-Identifier: Apache-2.0
// The dialler at work: a name server and servers on loopback, the dialler's loop in a thread of its own.
#include "network/dialler.hpp"

#include "base/limits.hpp"
#include "tests/support/loopback.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

namespace sanctum::network {
namespace {

using Names = std::map<std::string, std::vector<std::string>>;

// Answers A questions from a table, everything else with "no data"; remembers what it was asked.
class StubNameServer {
public:
    explicit StubNameServer(Names names) : names_(std::move(names)) {
        socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
        socklen_t size = sizeof(address);
        ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~StubNameServer() {
        ::shutdown(socket_.get(), SHUT_RDWR);
        is_over_ = true;
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const UniqueFd wake(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ::sendto(wake.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
        thread_.join();
    }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    [[nodiscard]] int questions() const { return questions_; }

private:
    void serve() {
        while (!is_over_) {
            std::array<char, 1500> buffer{};
            sockaddr_in from{};
            socklen_t size = sizeof(from);
            const ssize_t got = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
                                           reinterpret_cast<sockaddr*>(&from), &size);
            if (got < 17) continue;
            ++questions_;
            const std::string answer = answer_to({buffer.data(), static_cast<std::size_t>(got)});
            ::sendto(socket_.get(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
        }
    }
    [[nodiscard]] std::string answer_to(const std::string& query) const {
        std::string name;
        std::size_t at = 12;
        while (query[at] != 0) {
            const auto size = static_cast<std::size_t>(query[at]);
            name += (name.empty() ? "" : ".") + query.substr(at + 1, size);
            at += size + 1;
        }
        const bool is_a = query[at + 2] == 1;
        std::string answer = query.substr(0, at + 5);
        const auto found = names_.find(name);
        const std::size_t count = is_a && found != names_.end() ? found->second.size() : 0;
        answer[2] = static_cast<char>(0x81);
        answer[3] = static_cast<char>(found == names_.end() ? 0x83 : 0x80);
        answer[7] = static_cast<char>(count);
        answer[9] = answer[11] = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const Address address = *Address::parse(found->second[i]);
            answer += std::string("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04", 12);
            answer.append(reinterpret_cast<const char*>(address.bytes.data()) + 12, 4);
        }
        return answer;
    }

    Names names_;
    UniqueFd socket_;
    std::uint16_t port_ = 0;
    std::atomic<int> questions_ = 0;
    std::atomic<bool> is_over_ = false;
    std::thread thread_;
};

struct Answer {
    wire::Dialled dialled;
    std::size_t descriptors = 0;
};

// A dialler that lives as long as this object.
class RunningDialler {
public:
    RunningDialler(std::vector<profiles::DialEntry> entries, const profiles::UpstreamConfig& config) {
        auto ends = wire::make_channel_pair();
        channel_ = wire::Channel(std::move(ends->first));
        auto table = DialTable::create(std::move(entries), config);
        auto resolver = Resolver::create(config.resolver);
        EXPECT_TRUE(table.has_value() && resolver.has_value());
        dialler_ = std::make_unique<Dialler>(std::move(*table), std::move(*resolver),
                                             wire::Channel(std::move(ends->second)));
        thread_ = std::thread([this] {
            ended_ = dialler_->run();
            dialler_.reset();  // closes its end of the channel
        });
    }
    ~RunningDialler() {
        channel_.close();
        thread_.join();
    }
    Answer dial(std::uint32_t entry, const std::string& labels, std::uint16_t port) {
        EXPECT_TRUE(channel_.send(wire::Dial{++last_, entry, labels, port}).has_value());
        auto packet = channel_.receive_within(seconds(30));
        EXPECT_TRUE(packet.has_value());
        Answer answer{*packet->as<wire::Dialled>(), packet->descriptors.size()};
        EXPECT_EQ(answer.dialled.dial, last_);
        return answer;
    }
    /// Sends what a dialler must not accept and returns how the channel ended.
    Errc break_it() {
        EXPECT_TRUE(channel_.send(wire::Stop{}).has_value());
        const auto packet = channel_.receive_within(seconds(30));
        return packet ? Errc::Internal : packet.error().code;
    }

private:
    wire::Channel channel_;
    std::unique_ptr<Dialler> dialler_;
    std::uint64_t last_ = 0;
    Status ended_;
    std::thread thread_;
};

profiles::DialEntry entry(const std::string& name, std::vector<std::uint16_t> ports) {
    profiles::DialEntry made;
    made.name = name;
    made.ports = std::move(ports);
    return made;
}

TEST(Dialler, HandsOverAConnectionToAPermittedAddress) {
    const loopback::Listener server = loopback::listener();
    const StubNameServer names(Names{{"api.example.test", {"127.0.0.1"}}});
    profiles::UpstreamConfig config;
    config.resolver = names.address();
    config.allow_addresses = {"127.0.0.0/8"};
    RunningDialler dialler({entry("api.example.test", {server.port})}, config);

    const Answer answer = dialler.dial(0, "", server.port);

    EXPECT_EQ(answer.dialled.reason, "") << answer.dialled.detail;
    EXPECT_EQ(answer.descriptors, 1U);
}

TEST(Dialler, RefusesAnAddressThatIsNotPublic) {
    const loopback::Listener server = loopback::listener();
    const StubNameServer names(Names{{"api.example.test", {"127.0.0.1"}}, {"meta.example.test", {"169.254.169.254"}}});
    profiles::UpstreamConfig config;
    config.resolver = names.address();
    RunningDialler dialler({entry("api.example.test", {server.port}), entry("meta.example.test", {80})}, config);

    const Answer loopback_answer = dialler.dial(0, "", server.port);
    const Answer metadata_answer = dialler.dial(1, "", 80);

    EXPECT_EQ(loopback_answer.dialled.reason, "upstream_address");
    EXPECT_EQ(loopback_answer.dialled.detail, "127.0.0.1 is loopback");
    EXPECT_EQ(loopback_answer.descriptors, 0U);
    EXPECT_EQ(metadata_answer.dialled.reason, "upstream_address");
    // Nobody came to the forbidden server.
    EXPECT_LT(::accept4(server.fd.get(), nullptr, nullptr, SOCK_NONBLOCK), 0);
}

// NET-01: of several answers only the permitted one is used, and there is no second look-up.
TEST(Dialler, OfAMixedAnswerOnlyPermittedAddressesAreUsed) {
    const loopback::Listener server = loopback::listener();
    const std::vector<std::string> mixed = {"10.0.0.1", "169.254.169.254", "127.0.0.1", "192.168.0.1"};
    const StubNameServer names(Names{{"api.example.test", mixed}});
    profiles::UpstreamConfig config;
    config.resolver = names.address();
    config.allow_addresses = {"127.0.0.1"};
    RunningDialler dialler({entry("api.example.test", {server.port})}, config);

    const Answer answer = dialler.dial(0, "", server.port);

    EXPECT_EQ(answer.dialled.reason, "");
    EXPECT_EQ(answer.dialled.detail, "127.0.0.1:" + std::to_string(server.port));
    EXPECT_EQ(names.questions(), 2);  // A and AAAA, once
}

TEST(Dialler, AnAddressNamedForOneHostPermitsExactlyThisHost) {
    const loopback::Listener server = loopback::listener();
    const StubNameServer names(Names{{"other.example.test", {"127.0.0.1"}}});
    profiles::UpstreamConfig config;
    config.resolver = names.address();
    config.addresses = {{"git.example.test", "127.0.0.1:" + std::to_string(server.port)}};
    RunningDialler dialler({entry("git.example.test", {443}), entry("other.example.test", {server.port})}, config);

    const Answer named = dialler.dial(0, "", 443);
    const Answer other = dialler.dial(1, "", server.port);

    EXPECT_EQ(named.dialled.reason, "");
    EXPECT_EQ(named.descriptors, 1U);
    EXPECT_EQ(other.dialled.reason, "upstream_address");
}

TEST(Dialler, WhatCannotBeReachedIsSaidWithItsReason) {
    const StubNameServer names(Names{{"closed.example.test", {"127.0.0.1"}}, {"empty.example.test", {}}});
    std::uint16_t closed_port = loopback::listener().port;
    profiles::UpstreamConfig config;
    config.resolver = names.address();
    config.allow_addresses = {"127.0.0.1"};
    RunningDialler dialler({entry("closed.example.test", {closed_port}), entry("empty.example.test", {443}),
                            entry("missing.example.test", {443})},
                           config);

    for (const std::uint32_t index : {0U, 1U, 2U}) {
        const Answer answer = dialler.dial(index, "", index == 0 ? closed_port : 443);
        EXPECT_EQ(answer.dialled.reason, "upstream_unreachable") << index;
        EXPECT_NE(answer.dialled.detail, "") << index;
        EXPECT_EQ(answer.descriptors, 0U) << index;
    }
}

TEST(Dialler, AnUnlistedEntryOrPortIsNotLookedUp) {
    const StubNameServer names(Names{{"api.example.test", {"127.0.0.1"}}});
    profiles::UpstreamConfig config;
    config.resolver = names.address();
    RunningDialler dialler({entry("api.example.test", {443})}, config);

    EXPECT_EQ(dialler.dial(1, "", 443).dialled.reason, "upstream_address");
    EXPECT_EQ(dialler.dial(0, "", 444).dialled.reason, "upstream_address");
    EXPECT_EQ(dialler.dial(0, "exfiltrated-data", 443).dialled.reason, "upstream_address");
    EXPECT_EQ(names.questions(), 0);
}

TEST(Dialler, EndsWhenItIsToldAnythingElse) {
    profiles::UpstreamConfig config;
    config.resolver = "127.0.0.1:9";
    RunningDialler dialler({entry("api.example.test", {443})}, config);

    EXPECT_EQ(dialler.break_it(), Errc::Cancelled);
}

}  // namespace
}  // namespace sanctum::network
