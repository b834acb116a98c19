// SPDX-License-Identifier: Apache-2.0
// The watch against a real listener: a child traps its own connect(2) and the parent answers.
#include "launcher/watch/watch.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

int trap_connect() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    std::array<sock_filter, 4> code = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    return static_cast<int>(
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

UniqueFd receive_descriptor(int socket) {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == nullptr) return {};
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return UniqueFd(fd);
}

void send_descriptor(int socket, int fd) {
    char byte = 'x';
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    static_cast<void>(!::sendmsg(socket, &message, 0));
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int connect_to(int type, const sockaddr_in& address) {
    const int socket = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? socket : -1;
}

class WatchLive : public testing::Test {
protected:
    void SetUp() override {
        listener.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address = loopback(0);
        ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        ASSERT_EQ(::listen(listener.get(), 8), 0);
        socklen_t size = sizeof address;
        ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        port = ntohs(address.sin_port);
    }
    // Runs `act` in a child whose connects are trapped; answers until it ended. Returns its exit status.
    template <class Act>
    int run(Act act) {
        int pair[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        const pid_t pid = ::fork();
        if (pid == 0) {
            const int notify = trap_connect();
            if (notify < 0) ::_exit(99);
            send_descriptor(pair[1], notify);
            ::close(notify);
            act(pair[1]);
        }
        ::close(pair[1]);
        watch.emplace(receive_descriptor(pair[0]), pid, std::vector<std::uint16_t>{port});
        for (;;) {
            pollfd wait{watch->fd(), POLLIN, 0};
            if (::poll(&wait, 1, 60'000) <= 0 || (wait.revents & POLLIN) == 0) break;
            if (before_answers) before_answers(pair[0]);
            auto refused = watch->answer_notices();
            EXPECT_TRUE(refused);
            if (!refused) break;
            for (auto& attempt : *refused) attempts.push_back(std::move(attempt));
        }
        char bytes[8] = {};
        if (::recv(pair[0], bytes, sizeof bytes, MSG_DONTWAIT) == sizeof bytes) {
            std::memcpy(&cookie, bytes, sizeof cookie);
        }
        ::close(pair[0]);
        int status = 0;
        EXPECT_EQ(::waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    std::function<void(int report)> before_answers;
    UniqueFd listener;
    std::uint16_t port = 0;
    std::optional<Watch> watch;
    std::vector<ledger::ConnectionRefused> attempts;
    std::uint64_t cookie = 0;
};

TEST_F(WatchLive, AConnectionGoesOnAndItsProcessIsKnownByTheSocketsCookie) {
    const int status = run([this](int report) {
        const int socket = connect_to(SOCK_STREAM, loopback(port));
        if (socket < 0) ::_exit(1);
        std::uint64_t own = 0;
        socklen_t size = sizeof own;
        ::getsockopt(socket, SOL_SOCKET, SO_COOKIE, &own, &size);
        static_cast<void>(!::send(report, &own, sizeof own, 0));
        ::_exit(0);
    });

    EXPECT_EQ(status, 0);
    const auto claim = watch->take_claim(cookie);
    ASSERT_TRUE(claim);
    EXPECT_THAT(claim->exe, testing::HasSubstr("launcher"));
    EXPECT_TRUE(attempts.empty());
}

TEST_F(WatchLive, AnotherThreadsConnectionBelongsToItsProcess) {
    const int status = run([this](int) {
        const pid_t pid = ::getpid();
        const long thread = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
        if (thread == 0) ::_exit(connect_to(SOCK_STREAM, loopback(port)) < 0 ? 1 : 0);
        int child = 0;
        ::waitpid(static_cast<pid_t>(thread), &child, 0);
        ::_exit(pid > 0 && WIFEXITED(child) ? WEXITSTATUS(child) : 1);
    });

    EXPECT_EQ(status, 0);
    EXPECT_TRUE(attempts.empty());
}

TEST_F(WatchLive, AConnectionToAPathIsLetThroughWithoutARecord) {
    const int status = run([](int) {
        const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        constexpr std::string_view kPath = "/nonexistent/nscd";
        std::memcpy(address.sun_path, kPath.data(), kPath.size());
        const int result = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::_exit(result != 0 && errno == ENOENT ? 0 : 1);
    });

    EXPECT_EQ(status, 0);
    EXPECT_TRUE(attempts.empty());
}

TEST_F(WatchLive, AnAddressThatCannotBeReadGoesOnToTheKernelsOwnAnswer) {
    const int status = run([](int) {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const long result = ::syscall(SYS_connect, socket, 8, sizeof(sockaddr_in));
        ::_exit(result != 0 && errno == EFAULT ? 0 : 1);
    });

    EXPECT_EQ(status, 0);
}

TEST_F(WatchLive, ANumberThatIsNoSocketIsTheCallersError) {
    const int status = run([](int) {
        const sockaddr_in address = loopback(1);
        const int result = ::connect(77, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::_exit(result != 0 && errno == EBADF ? 0 : 1);
    });

    EXPECT_EQ(status, 0);
}

TEST_F(WatchLive, ACallerThatDiesWhileItWaitsIsNoError) {
    pid_t caller = -1;
    before_answers = [&caller](int report) {
        if (caller >= 0 || ::recv(report, &caller, sizeof caller, 0) != sizeof caller) return;
        ::kill(caller, SIGKILL);  // its notice is there, and the answer comes too late
        char is_over = 0;
        EXPECT_EQ(::recv(report, &is_over, 1, 0), 1);
    };
    const int status = run([this](int report) {
        const pid_t child = ::fork();
        if (child == 0) {
            connect_to(SOCK_STREAM, loopback(port));
            ::_exit(0);
        }
        static_cast<void>(!::send(report, &child, sizeof child, 0));
        int ended = 0;
        ::waitpid(child, &ended, 0);
        static_cast<void>(!::send(report, "x", 1, 0));
        const bool was_killed = WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL;
        ::_exit(was_killed && connect_to(SOCK_STREAM, loopback(port)) >= 0 ? 0 : 1);
    });

    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sanctum::launcher
