// SPDX-License-Identifier: Apache-2.0
// Runs a classic BPF program as the kernel's seccomp does, on a system call that nobody makes.
//
// Knows exactly the instructions that compile_filter() writes; any other fails the test that runs it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <span>
#include <string>

namespace sanctum::test {

/// A system call as a filter sees it.
struct FakeCall {
    int number = 0;
    std::array<std::uint64_t, 6> arguments{};
    std::uint32_t architecture = AUDIT_ARCH_X86_64;
};

/// The value that the program returns, or nullopt when it leaves its bounds or uses an unknown instruction.
inline std::optional<std::uint32_t> evaluate(std::span<const sock_filter> program, const FakeCall& call) {
    seccomp_data data{};
    data.nr = call.number;
    data.arch = call.architecture;
    for (std::size_t at = 0; at < call.arguments.size(); ++at) data.args[at] = call.arguments[at];
    std::uint32_t accumulator = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const sock_filter& code = program[at];
        switch (code.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (code.k % 4 != 0 || code.k + 4 > sizeof data) return std::nullopt;
                std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + code.k, 4);
                break;
            case BPF_ALU | BPF_AND | BPF_K: accumulator &= code.k; break;
            case BPF_JMP | BPF_JA: at += code.k; break;
            case BPF_JMP | BPF_JEQ | BPF_K: at += accumulator == code.k ? code.jt : code.jf; break;
            case BPF_JMP | BPF_JGE | BPF_K: at += accumulator >= code.k ? code.jt : code.jf; break;
            case BPF_RET | BPF_K: return code.k;
            default: return std::nullopt;
        }
    }
    return std::nullopt;
}

/// `ALLOW`, `NOTIFY`, `KILL`, `errno:N`, or `broken`.
inline std::string verdict_of(std::span<const sock_filter> program, const FakeCall& call) {
    const std::optional<std::uint32_t> returned = evaluate(program, call);
    if (!returned) return "broken";
    switch (*returned & SECCOMP_RET_ACTION_FULL) {
        case SECCOMP_RET_ALLOW: return "ALLOW";
        case SECCOMP_RET_USER_NOTIF: return "NOTIFY";
        case SECCOMP_RET_KILL_PROCESS: return "KILL";
        case SECCOMP_RET_ERRNO: return "errno:" + std::to_string(*returned & SECCOMP_RET_DATA);
        default: return "broken";
    }
}

}  // namespace sanctum::test
