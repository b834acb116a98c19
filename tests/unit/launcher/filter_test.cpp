// SPDX-License-Identifier: Apache-2.0
// The agent's filter as data: the compiled program is interpreted, nothing is installed.
#include "launcher/plan/agent_filter.hpp"
#include "launcher/plan/call_numbers.hpp"
#include "tests/support/bpf_evaluator.hpp"
#include "tests/unit/launcher/golden.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace sanctum::launcher {
namespace {

using test::expect_golden;
using test::FakeCall;

constexpr std::uint64_t kHigh = 1ULL << 32;
constexpr std::uint64_t kAllOnes = ~0ULL;

/// Kernel constants are ints in the headers and unsigned longs in a call.
constexpr std::uint64_t bits(long value) { return static_cast<std::uint64_t>(value); }

FilterProgram program_for(Architecture architecture, Watch watch = Watch::Connections,
                          Affinity affinity = Affinity::Free) {
    const auto program = compile_filter(agent_filter(architecture, watch, affinity), ENOSYS, architecture);
    EXPECT_TRUE(program.has_value());
    return *program;
}

std::string error_verdict(int error) { return "errno:" + std::to_string(error); }

/// Verdict of a call by name on x86-64 with the watch on.
std::string verdict(std::string_view name, std::array<std::uint64_t, 6> arguments = {}) {
    static const FilterProgram kProgram = program_for(Architecture::X86_64);
    return test::verdict_of(kProgram, {*call_number(name, Architecture::X86_64), arguments});
}

TEST(SyscallFilter, ForeignArchitectureIsKilled) {
    const FilterProgram program = program_for(Architecture::X86_64);
    for (const std::uint32_t foreign : std::array<std::uint32_t, 5>{AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64,
        AUDIT_ARCH_ARM, 0, ~0U}) {
        EXPECT_EQ(test::verdict_of(program, {39, {}, foreign}), "KILL");
    }
    EXPECT_EQ(test::verdict_of(program, {39, {}, AUDIT_ARCH_X86_64}), "ALLOW");
}

TEST(SyscallFilter, X32NumbersDoNotExist) {
    const FilterProgram program = program_for(Architecture::X86_64);
    for (int number = 0; number < 1024; ++number) {
        EXPECT_EQ(test::verdict_of(program, {number | 0x40000000, {}}), error_verdict(ENOSYS)) << number;
    }
    EXPECT_EQ(test::verdict_of(program, {-1, {}}), error_verdict(ENOSYS));
}

TEST(SyscallFilter, ExactlyFourSocketFamiliesExist) {
    for (std::uint64_t family = 0; family < 64; ++family) {
        for (const std::uint64_t high : {std::uint64_t{0}, kHigh, kHigh << 31}) {
            const std::string made = verdict("socket", {family | high, SOCK_STREAM, 0});
            const bool exists = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
            EXPECT_EQ(made, exists ? "ALLOW" : error_verdict(EAFNOSUPPORT)) << family << " " << high;
        }
    }
}

TEST(SyscallFilter, InternetSocketsAreTcpAndUdpOnly) {
    struct Row {
        std::uint64_t type, protocol;
        bool allowed;
    };
    constexpr Row kRows[] = {
        {SOCK_STREAM, 0, true},          {SOCK_STREAM, 6, true},     {SOCK_DGRAM, 0, true},
        {SOCK_DGRAM, 17, true},          {SOCK_STREAM, 17, false},   {SOCK_DGRAM, 6, false},
        {SOCK_STREAM, 262, false},       {SOCK_STREAM, 132, false},  {SOCK_DGRAM, 1, false},
        {SOCK_RAW, 0, false},            {SOCK_RAW, 1, false},       {SOCK_SEQPACKET, 132, false},
        {SOCK_DGRAM | SOCK_CLOEXEC, 0, true}, {SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 6, true},
    };
    for (const Row& row : kRows) {
        for (const std::uint64_t family : {std::uint64_t{AF_INET}, std::uint64_t{AF_INET6}}) {
            EXPECT_EQ(verdict("socket", {family, row.type, row.protocol}),
                      row.allowed ? "ALLOW" : error_verdict(EPROTONOSUPPORT))
                << family << " " << row.type << " " << row.protocol;
        }
    }
}

TEST(SyscallFilter, NetlinkIsRouteOnly) {
    for (std::uint64_t protocol = 0; protocol < 32; ++protocol) {
        EXPECT_EQ(verdict("socket", {AF_NETLINK, SOCK_RAW, protocol}),
                  protocol == 0 ? "ALLOW" : error_verdict(EPROTONOSUPPORT))
            << protocol;
    }
}

TEST(SyscallFilter, CloneWithNamespaceFlagsIsRefused) {
    for (const long flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
                                     CLONE_NEWNET}) {
        EXPECT_EQ(verdict("clone", {bits(flag | SIGCHLD)}), error_verdict(EPERM));
        EXPECT_EQ(verdict("clone", {bits(flag | SIGCHLD) | (1ULL << 63)}), error_verdict(EPERM));
    }
    EXPECT_EQ(verdict("clone", {SIGCHLD}), "ALLOW");
    EXPECT_EQ(verdict("clone", {bits(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)}), "ALLOW");
    EXPECT_EQ(verdict("clone3"), error_verdict(ENOSYS));
}

TEST(SyscallFilter, WordsIntoTheTerminalAreRefusedWithAnyHighBits) {
    for (const long request : {TIOCSTI, 0x541c, TIOCCONS, TIOCSETD, 0x4b3a, 0x5606}) {
        EXPECT_EQ(verdict("ioctl", {0, bits(request)}), error_verdict(EPERM)) << request;
        EXPECT_EQ(verdict("ioctl", {0, bits(request) | kHigh}), error_verdict(EPERM)) << request;
    }
    for (const long request : {TIOCGWINSZ, TCGETS, FIONREAD, TIOCSCTTY, TIOCSPGRP}) {
        EXPECT_EQ(verdict("ioctl", {0, bits(request)}), "ALLOW") << request;
    }
}

TEST(SyscallFilter, OnlyConnectionsAreNoticed) {
    constexpr std::uint64_t kFastOpen = bits(MSG_FASTOPEN);
    EXPECT_EQ(verdict("connect"), "NOTIFY");
    EXPECT_EQ(verdict("sendto", {3, 0, 0, kFastOpen}), "NOTIFY");
    EXPECT_EQ(verdict("sendmsg", {3, 0, kFastOpen | bits(MSG_NOSIGNAL)}), "NOTIFY");
    EXPECT_EQ(verdict("sendmmsg", {3, 0, 0, kFastOpen}), "NOTIFY");
    EXPECT_EQ(verdict("sendto", {3, 0, 0, MSG_NOSIGNAL}), "ALLOW");
    EXPECT_EQ(verdict("sendmsg", {3, kFastOpen, MSG_NOSIGNAL}), "ALLOW");
    EXPECT_EQ(verdict("sendmmsg", {3, 0, kFastOpen, 0}), "ALLOW");
}

TEST(SyscallFilter, WithoutTheWatchNothingIsNoticed) {
    const FilterProgram program = program_for(Architecture::X86_64, Watch::Off);
    for (int number = 0; number < 1024; ++number) {
        EXPECT_NE(test::verdict_of(program, {number, {kAllOnes, kAllOnes, kAllOnes, kAllOnes, kAllOnes, kAllOnes}}),
            "NOTIFY");
    }
    EXPECT_EQ(test::verdict_of(program, {42, {}}), "ALLOW");
}

TEST(SyscallFilter, SetIdBitsCannotBeGivenToAFile) {
    for (const std::uint64_t mode : {bits(S_ISUID | 0755), bits(S_ISGID | 0755), bits(06777)}) {
        EXPECT_EQ(verdict("chmod", {0, mode}), error_verdict(EPERM));
        EXPECT_EQ(verdict("fchmod", {0, mode | kHigh}), error_verdict(EPERM));
        EXPECT_EQ(verdict("fchmodat", {0, 0, mode}), error_verdict(EPERM));
        EXPECT_EQ(verdict("fchmodat2", {0, 0, mode}), error_verdict(EPERM));
        EXPECT_EQ(verdict("creat", {0, mode}), error_verdict(EPERM));
        EXPECT_EQ(verdict("open", {0, O_CREAT | O_WRONLY, mode}), error_verdict(EPERM));
        EXPECT_EQ(verdict("openat", {0, 0, O_TMPFILE | O_RDWR, mode}), error_verdict(EPERM));
        EXPECT_EQ(verdict("mknodat", {0, 0, bits(S_IFREG) | mode}), error_verdict(EPERM));
    }
    EXPECT_EQ(verdict("chmod", {0, 01777}), "ALLOW");
    EXPECT_EQ(verdict("openat", {0, 0, O_CREAT | O_WRONLY, 0644}), "ALLOW");
}

TEST(SyscallFilter, AnOpenThatMakesNothingIgnoresWhatStandsInTheModesRegister) {
    EXPECT_EQ(verdict("open", {0, O_RDONLY, kAllOnes}), "ALLOW");
    EXPECT_EQ(verdict("openat", {0, 0, O_RDWR | O_DIRECTORY, kAllOnes}), "ALLOW");
}

TEST(SyscallFilter, DeviceNodesCannotBeMade) {
    EXPECT_EQ(verdict("mknod", {0, S_IFCHR | 0666}), error_verdict(EPERM));
    EXPECT_EQ(verdict("mknodat", {0, 0, S_IFBLK | 0666}), error_verdict(EPERM));
    EXPECT_EQ(verdict("mknodat", {0, 0, S_IFIFO | 0666}), "ALLOW");
}

TEST(SyscallFilter, PersonalityIsAskedForAndNotChanged) {
    EXPECT_EQ(verdict("personality", {0}), "ALLOW");
    EXPECT_EQ(verdict("personality", {0xffffffff}), "ALLOW");
    EXPECT_EQ(verdict("personality", {0x40000}), error_verdict(EPERM));
}

TEST(SyscallFilter, PrctlKnowsOnlyWhatConcernsTheCaller) {
    EXPECT_EQ(verdict("prctl", {15}), "ALLOW");
    EXPECT_EQ(verdict("prctl", {35}), error_verdict(EINVAL));
    EXPECT_EQ(verdict("prctl", {28}), error_verdict(EINVAL));
}

TEST(SyscallFilter, ProcessorsStayFixedWhereTheyAreTheLimit) {
    const FilterProgram fixed = program_for(Architecture::X86_64, Watch::Connections, Affinity::Fixed);
    EXPECT_EQ(test::verdict_of(fixed, {203, {}}), error_verdict(EPERM));
    EXPECT_EQ(verdict("sched_setaffinity"), "ALLOW");
}

/// One line per number: the verdict with all arguments zero and with all arguments one.
std::string render_calls(Architecture architecture) {
    const FilterProgram program = program_for(architecture);
    const std::uint32_t native = architecture == Architecture::X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
    std::ostringstream out;
    out << "# number name verdict-with-ones verdict-with-zeroes; numbers that are missing do not exist (ENOSYS)\n";
    for (int number = 0; number < 1024; ++number) {
        const std::string zeroes = test::verdict_of(program, {number, {}, native});
        const std::string ones = test::verdict_of(
            program, {number, {kAllOnes, kAllOnes, kAllOnes, kAllOnes, kAllOnes, kAllOnes}, native});
        const std::string_view name = call_name(number, architecture);
        if (name.empty()) {
            EXPECT_EQ(zeroes, error_verdict(ENOSYS)) << number;
            EXPECT_EQ(ones, error_verdict(ENOSYS)) << number;
            continue;
        }
        const auto shown = [](const std::string& text) { return text == error_verdict(ENOSYS) ? "ENOSYS" : text; };
        out << number << " " << name << " " << shown(ones) << " " << shown(zeroes) << "\n";
    }
    return out.str();
}

TEST(SyscallFilter, EveryNumberBelow1024IsAsReviewedOnX86) { expect_golden("calls-x86_64.txt",
    render_calls(Architecture::X86_64)); }
TEST(SyscallFilter, EveryNumberBelow1024IsAsReviewedOnArm) { expect_golden("calls-arm64.txt",
    render_calls(Architecture::Arm64)); }

TEST(SyscallFilter, NamesAndNumbersAreTheKernelHeaders) {
    EXPECT_EQ(call_number("read", Architecture::X86_64), 0);
    EXPECT_EQ(call_number("openat", Architecture::Arm64), 56);
    EXPECT_EQ(call_number("open", Architecture::Arm64), std::nullopt);
    EXPECT_EQ(call_number("statmount", Architecture::X86_64), std::nullopt);
    EXPECT_EQ(call_name(257, Architecture::X86_64), "openat");
}

CallRule rule(int number, CallRule::Action action, CallRule::Test kind, std::uint64_t value) {
    return {number, action, EPERM, kind == CallRule::Test::None ? -1 : 0, kind, 0, value, ""};
}

TEST(FilterCompiler, ANumberThatEndsInAConditionIsAnError) {
    const CallRule rules[] = {rule(1, CallRule::Action::Allow, CallRule::Test::Equal, 7)};
    EXPECT_FALSE(compile_filter(rules, ENOSYS, Architecture::X86_64).has_value());
    const CallRule chained[] = {rule(1, CallRule::Action::Also, CallRule::Test::Equal, 7),
                                rule(1, CallRule::Action::Allow, CallRule::Test::None, 0)};
    EXPECT_FALSE(compile_filter(chained, ENOSYS, Architecture::X86_64).has_value());
}

TEST(FilterCompiler, ChainedConditionsAllCount) {
    const CallRule rules[] = {rule(5, CallRule::Action::Also, CallRule::Test::Below, 10),
                              {5, CallRule::Action::Also, 0, 1, CallRule::Test::MaskedEqual, 0xf0, 0x20, ""},
                              {5, CallRule::Action::Allow, 0, 2, CallRule::Test::MaskedNotEqual, 0xff, 0, ""},
                              rule(5, CallRule::Action::Errno, CallRule::Test::None, 0)};
    const auto program = compile_filter(rules, ENOSYS, Architecture::X86_64);
    ASSERT_TRUE(program.has_value());
    EXPECT_EQ(test::verdict_of(*program, {5, {9, 0x2f, 1}}), "ALLOW");
    EXPECT_EQ(test::verdict_of(*program, {5, {10, 0x2f, 1}}), error_verdict(EPERM));
    EXPECT_EQ(test::verdict_of(*program, {5, {9, 0x3f, 1}}), error_verdict(EPERM));
    EXPECT_EQ(test::verdict_of(*program, {5, {9, 0x2f, 0x100}}), error_verdict(EPERM));
    EXPECT_EQ(test::verdict_of(*program, {4, {}}), error_verdict(ENOSYS));
    EXPECT_EQ(test::verdict_of(*program, {6, {}}), error_verdict(ENOSYS));
}

TEST(FilterCompiler, TheProgramStaysFarBelowTheKernelsLimit) {
    EXPECT_LT(program_for(Architecture::X86_64).size(), 2000U);
    EXPECT_LT(program_for(Architecture::Arm64).size(), 2000U);
}

}  // namespace
}  // namespace sanctum::launcher
