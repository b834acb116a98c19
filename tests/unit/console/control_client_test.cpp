// SPDX-License-Identifier: Apache-2.0
#include "console/control_client.hpp"

#include "tests/unit/console/console_fixture.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace sanctum::console::test {
namespace {

// Answers one connection with the given text, then closes.
class FakeMission {
public:
    FakeMission(const std::string& path, std::string answer) : answer_(std::move(answer)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        SANCTUM_ASSERT(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        SANCTUM_ASSERT(::listen(listener_.get(), 1) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeMission() { thread_.join(); }
    FakeMission(const FakeMission&) = delete;
    FakeMission& operator=(const FakeMission&) = delete;

private:
    void serve() {
        const UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
        char byte = 0;
        while (::read(connection.get(), &byte, 1) == 1 && byte != '\n') {}
        if (answer_.empty()) return;
        const ssize_t sent = ::send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
        SANCTUM_ASSERT(sent == static_cast<ssize_t>(answer_.size()));
    }
    std::string answer_;
    UniqueFd listener_;
    std::thread thread_;
};

class Control : public ConsoleTest {
protected:
    Result<std::string> ask(const std::string& answer) {
        const std::string path = folder_ + "/run/x.sock";
        const FakeMission mission(path, answer);
        Result<ControlClient> client = ControlClient::connect(path);
        SANCTUM_ASSERT(client.has_value());
        return client->ask(R"({"v":1,"request":"show"})", std::chrono::seconds(20));
    }
};

TEST_F(Control, AnAnswerIsOneLine) {
    const Result<std::string> answer = ask("{\"v\":1,\"ok\":true,\"mission\":\"x\"}\n");

    ASSERT_TRUE(answer) << answer.error().what;
    EXPECT_EQ(*answer, R"({"v":1,"ok":true,"mission":"x"})");
}

TEST_F(Control, ARefusalCarriesItsSentenceMadePrintable) {
    const Result<std::string> answer = ask("{\"v\":1,\"ok\":false,\"error\":\"no\\u001b[31m\"}\n");

    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().what, "no\\x1b[31m");
}

TEST_F(Control, WhatIsNoAnswerIsRefused) {
    EXPECT_EQ(ask("hello\n").error().code, Errc::Protocol);
}

TEST_F(Control, AMissionThatEndsInsteadOfAnsweringIsCancelled) {
    EXPECT_EQ(ask("").error().code, Errc::Cancelled);
}

TEST_F(Control, NoSocketAndNoListenerAreToldApart) {
    EXPECT_EQ(ControlClient::connect(folder_ + "/run/none.sock").error().code, Errc::NotFound);
    {
        const FakeMission ended(folder_ + "/run/y.sock", "");
        EXPECT_TRUE(ControlClient::connect(folder_ + "/run/y.sock"));
    }
    EXPECT_EQ(ControlClient::connect(folder_ + "/run/y.sock").error().code, Errc::Cancelled);
}

}  // namespace
}  // namespace sanctum::console::test
