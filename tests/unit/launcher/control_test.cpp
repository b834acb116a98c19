// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/control.hpp"

#include "base/limits.hpp"

#include <array>
#include <cstring>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(ControlRequest, ShowAndRevokeAreUnderstood) {
    EXPECT_EQ(parse_control_request(R"({"v":1,"request":"show"})")->what, ControlRequest::What::Show);
    const auto revoke = parse_control_request(R"({"request":"revoke","v":1,"reason":"wrong repository","later":true})");
    ASSERT_TRUE(revoke);
    EXPECT_EQ(revoke->what, ControlRequest::What::Revoke);
    EXPECT_EQ(revoke->reason, "wrong repository");
    EXPECT_EQ(parse_control_request(R"({"v":1,"request":"revoke"})")->reason, "");
}

TEST(ControlRequest, TakingAServiceBackIsAWordOfItsOwn) {
    const auto revoke = parse_control_request(R"({"v":1,"request":"revoke-service","service":"github"})");
    ASSERT_TRUE(revoke);
    EXPECT_EQ(revoke->what, ControlRequest::What::RevokeService);
    EXPECT_EQ(revoke->service, "github");
}

TEST(ControlRequest, EverythingElseIsRefused) {
    for (const char* line : {"", "{", "[]", "null", "show", R"({"v":1})", R"({"request":"show"})",
                             R"({"v":2,"request":"show"})", R"({"v":"1","request":"show"})",
                             R"({"v":1,"request":"stop"})",
                             R"({"v":1,"request":5})", R"({"v":1,"request":"revoke","reason":5})",
                             R"({"v":1,"request":"revoke-service"})",
                             R"({"v":1,"request":"revoke-service","service":""})",
                             R"({"v":1,"request":"revoke-service","service":["a"]})",
                             R"({"v":1,"v":1,"request":"show"})"}) {
        EXPECT_FALSE(parse_control_request(line)) << line;
    }
}

class ControlServerTest : public testing::Test {
protected:
    ControlServerTest() {
        std::string name = (std::filesystem::temp_directory_path() / "sanctum-control-XXXXXX").string();
        folder = ::mkdtemp(name.data());
        path = folder + "/run/m.sock";
        auto made = EventLoop::create();
        EXPECT_TRUE(made);
        loop.emplace(std::move(*made));
        auto listener = ControlListener::open(path);
        EXPECT_TRUE(listener);
        auto opened = ControlServer::open(std::move(*listener), *loop, [this](const ControlRequest& request) {
            last_reason = request.reason;
            return std::string(request.what == ControlRequest::What::Show ? R"({"ok":true})" : R"({"bye":true})");
        });
        EXPECT_TRUE(opened);
        server = std::move(*opened);
    }
    ~ControlServerTest() override {
        server.reset();
        std::filesystem::remove_all(folder);
    }
    UniqueFd connect() {
        UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        serve();
        return client;
    }
    void say(const UniqueFd& client, std::string_view text) {
        EXPECT_EQ(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
        serve();
    }
    static std::string hear(const UniqueFd& client) {
        std::array<char, 4096> bytes{};
        const ssize_t size = ::recv(client.get(), bytes.data(), bytes.size(), 0);
        return size < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(size));
    }
    void serve() {
        for (int turn = 0; turn < 40; ++turn) ASSERT_TRUE(loop->turn(milliseconds(0)));
    }

    std::string folder;
    std::string path;
    std::optional<EventLoop> loop;
    std::unique_ptr<ControlServer> server;
    std::string last_reason;
};

TEST_F(ControlServerTest, AnswersEachLineWithALine) {
    const UniqueFd client = connect();

    say(client, "{\"v\":1,\"request\":\"show\"}\n{\"v\":1,\"req");
    EXPECT_EQ(hear(client), "{\"ok\":true}\n");
    say(client, "uest\":\"revoke\",\"reason\":\"x\"}\n");

    EXPECT_EQ(hear(client), "{\"bye\":true}\n");
    EXPECT_EQ(last_reason, "x");
}

TEST_F(ControlServerTest, AWrongLineIsAnErrorAndNotTheEnd) {
    const UniqueFd client = connect();

    say(client, "what\n");
    EXPECT_THAT(hear(client), HasSubstr("\"ok\":false"));
    say(client, "{\"v\":1,\"request\":\"show\"}\n");

    EXPECT_EQ(hear(client), "{\"ok\":true}\n");
}

TEST_F(ControlServerTest, ALineWithoutAnEndIsCut) {
    const UniqueFd client = connect();
    const std::string part(16 * 1024, 'x');

    for (std::size_t sent = 0; sent <= kControlLineBytesMax; sent += part.size()) say(client, part);

    EXPECT_THAT(hear(client), HasSubstr("too long"));
}

TEST_F(ControlServerTest, AClientThatSaidAllStillGetsItsAnswerAndSeesTheEnd) {
    const UniqueFd client = connect();
    say(client, "{\"v\":1,\"request\":\"revoke\"}\n");
    ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
    serve();

    EXPECT_EQ(hear(client), "{\"bye\":true}\n");
    EXPECT_EQ(hear(client), "nothing");
    server.reset();

    EXPECT_EQ(hear(client), "");
}

TEST_F(ControlServerTest, ClientsBeyondTheBoundAreClosedAndOthersStillServed) {
    std::vector<UniqueFd> clients;
    for (std::size_t i = 0; i < kControlClientsMax; ++i) clients.push_back(connect());

    const UniqueFd extra = connect();

    EXPECT_EQ(hear(extra), "");
    say(clients.front(), "{\"v\":1,\"request\":\"show\"}\n");
    EXPECT_EQ(hear(clients.front()), "{\"ok\":true}\n");
    clients.pop_back();
    serve();
    const UniqueFd later = connect();
    say(later, "{\"v\":1,\"request\":\"show\"}\n");
    EXPECT_EQ(hear(later), "{\"ok\":true}\n");
}

TEST_F(ControlServerTest, TheSocketIsForItsOwnerOnlyAndGoesWithTheServer) {
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    ASSERT_EQ(::stat((folder + "/run").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0700U);

    server.reset();

    EXPECT_NE(::stat(path.c_str(), &status), 0);
}

TEST(ControlListener, APathThatASocketCannotHaveIsExplained) {
    const auto listener = ControlListener::open(std::string(testing::TempDir()) + std::string(120, 'x') + "/m.sock");

    ASSERT_FALSE(listener);
    EXPECT_THAT(listener.error().what, HasSubstr("XDG_RUNTIME_DIR"));
}

}  // namespace
}  // namespace sanctum::launcher
