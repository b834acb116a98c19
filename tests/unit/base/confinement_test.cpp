// SPDX-License-Identifier: Apache-2.0
// Our own processes' confinement, each in a child of its own: what is given up is gone, what is named stays.
#include "base/confinement/landlock.hpp"
#include "base/confinement/self_confinement.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum {
namespace {

/// Exit code of `body` in a child; 128 + N for a death by signal.
int in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

SelfConfinement confinement_with(std::vector<AllowedCall> calls) {
    SelfConfinement confinement;
    confinement.calls = std::move(calls);
    if (landlock_abi() == 0) confinement.files = SelfConfinement::FileDomain::None;
    return confinement;
}

TEST(ConfineSelf, ACallThatIsNotNamedFailsWithEperm) {
    EXPECT_EQ(in_child([] {
        if (!confine_self(confinement_with({}))) return 99;
        return ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM ? 0 : 1;
    }), 0);
    EXPECT_EQ(in_child([] {
        if (!confine_self(confinement_with({{SYS_socket, "test"}}))) return 99;
        return ::socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
    }), 0);
}

TEST(ConfineSelf, APathThatIsNotNamedIsClosed) {
    if (landlock_abi() == 0) GTEST_SKIP() << "no Landlock on this machine";
    EXPECT_EQ(in_child([] {
        SelfConfinement confinement = confinement_with({{SYS_openat, "test"}});
        confinement.paths = {{"/usr", AllowedPath::Access::Read}};
        if (!confine_self(confinement)) return 99;
        if (::open("/usr", O_RDONLY | O_DIRECTORY) < 0) return 1;
        return ::open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? 0 : 2;
    }), 0);
}

TEST(ConfineSelf, AProcessCannotMakeItselfDumpableAgain) {
    EXPECT_EQ(in_child([] {
        if (!become_undumpable() || !confine_self(confinement_with({}))) return 99;
        if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 || errno != EPERM) return 1;
        return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2;
    }), 0);
}

TEST(ConfineSelf, AProcessMayEndItselfAndSignalNobodyElse) {
    EXPECT_EQ(in_child([] {
        if (!become_undumpable() || !confine_self(confinement_with({}))) return 99;
        std::abort();
    }), 128 + SIGABRT);
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t other = ::getpid();
    EXPECT_EQ(in_child([&] {
        if (!confine_self(confinement_with({{SYS_ioctl, "test"}}))) return 99;
        if (::syscall(SYS_tgkill, other, other, 0) == 0 || errno != EPERM) return 1;
        if (::syscall(SYS_tgkill, ::getpid(), ::gettid(), 0) != 0) return 2;
        for (const int use : {F_SETOWN, F_SETSIG}) {
            if (::fcntl(pipe[0], use, other) == 0 || errno != EPERM) return 3;
        }
        const f_owner_ex owner{F_OWNER_PID, other};
        if (::fcntl(pipe[0], F_SETOWN_EX, &owner) == 0 || errno != EPERM) return 4;
        int number = other;
        for (const unsigned long use : {static_cast<unsigned long>(FIOSETOWN), static_cast<unsigned long>(SIOCSPGRP)}) {
            if (::ioctl(pipe[0], use, &number) == 0 || errno != EPERM) return 5;
        }
        return ::fcntl(pipe[0], F_GETFL) >= 0 && ::ioctl(pipe[0], FIONREAD, &number) == 0 ? 0 : 6;
    }), 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

#ifdef __x86_64__
TEST(ConfineSelf, AForeignArchitectureKills) {
    EXPECT_EQ(in_child([] {
        if (!confine_self(confinement_with({}))) return 99;
        long call = 20;
        asm volatile("int $0x80" : "+a"(call) : : "memory");
        return 0;
    }), 128 + SIGSYS);
}
#endif

TEST(ConfineSelf, AMissingPathIsAnError) {
    if (landlock_abi() == 0) GTEST_SKIP() << "no Landlock on this machine";
    EXPECT_EQ(in_child([] {
        SelfConfinement confinement;
        confinement.paths = {{"/nowhere", AllowedPath::Access::Read}};
        const Status status = confine_self(confinement);
        return !status && status.error().code == Errc::NotFound ? 0 : 1;
    }), 0);
}

TEST(EmptyNetwork, HasNoAddressAndKeepsTheUser) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "unshare(2) wants a process with one thread, and this sanitizer has one of its own";
#endif
    const uid_t user = ::getuid();
    EXPECT_EQ(in_child([user] {
        if (!enter_empty_network()) return 99;
        ifaddrs* addresses = nullptr;
        if (::getifaddrs(&addresses) != 0) return 1;
        for (const ifaddrs* at = addresses; at != nullptr; at = at->ifa_next) {
            if (at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET) return 2;
        }
        return ::getuid() == user ? 0 : 3;
    }), 0);
}

TEST(BecomeUndumpable, ForbidsNewPrivilegesToo) {
    EXPECT_EQ(in_child([] {
        if (!become_undumpable()) return 99;
        return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 1;
    }), 0);
}

}  // namespace
}  // namespace sanctum
