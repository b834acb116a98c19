// SPDX-License-Identifier: Apache-2.0
#include "base/confinement/call_filter.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum {
namespace {

using Action = CallRule::Action;
using Test = CallRule::Test;

// linux-libc-dev of Debian 12 knows it, older ones do not; see seccomp(2).
constexpr unsigned long kWaitKillableReceive = 1UL << 5;

sock_filter statement(int code, std::uint32_t value) { return {static_cast<std::uint16_t>(code), 0, 0, value}; }

sock_filter jump(int code, std::uint32_t value, std::uint8_t if_true, std::uint8_t if_false) {
    return {static_cast<std::uint16_t>(code), if_true, if_false, value};
}

sock_filter answer(std::uint32_t value) { return statement(BPF_RET | BPF_K, value); }

std::uint32_t verdict_of(const CallRule& rule) {
    switch (rule.action) {
        case Action::Allow: return SECCOMP_RET_ALLOW;
        case Action::Notify: return SECCOMP_RET_USER_NOTIF;
        case Action::Errno: return SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(rule.error) & SECCOMP_RET_DATA);
        case Action::Also: break;
    }
    return SECCOMP_RET_KILL_PROCESS;
}

/// Instructions that load the tested argument and skip `distance` instructions when the test fails.
void append_test(FilterProgram& program, const CallRule& rule, std::uint8_t distance) {
    if (rule.test == Test::None) return;
    const auto offset = static_cast<std::uint32_t>(offsetof(seccomp_data, args)) +
                        static_cast<std::uint32_t>(rule.argument) * 8U;
    const auto value = static_cast<std::uint32_t>(rule.value);
    program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offset));
    switch (rule.test) {
        case Test::Equal: program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, value, 0, distance)); return;
        case Test::Below: program.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, value, distance, 0)); return;
        case Test::MaskedEqual:
        case Test::MaskedNotEqual:
            program.push_back(statement(BPF_ALU | BPF_AND | BPF_K, static_cast<std::uint32_t>(rule.mask)));
            program.push_back(rule.test == Test::MaskedEqual ? jump(BPF_JMP | BPF_JEQ | BPF_K, value, 0, distance)
                                                             : jump(BPF_JMP | BPF_JEQ | BPF_K, value, distance, 0));
            return;
        case Test::None: return;
    }
}

constexpr std::uint8_t kAnswerLength = 1;

std::uint8_t test_length(const CallRule& rule) {
    if (rule.test == Test::None) return 0;
    return rule.test == Test::Equal || rule.test == Test::Below ? 2 : 3;
}

/// Code of one number: its rules in order; a failed test skips to behind the rule that ends its chain.
Result<FilterProgram> compile_number(std::span<const CallRule> rules) {
    FilterProgram program;
    for (std::size_t first = 0; first < rules.size();) {
        std::size_t last = first;
        while (last < rules.size() && rules[last].action == Action::Also) ++last;
        if (last == rules.size()) break;
        int length = kAnswerLength;
        for (std::size_t at = first; at <= last; ++at) length += test_length(rules[at]);
        for (std::size_t at = first; at <= last; ++at) {
            length -= test_length(rules[at]);
            append_test(program, rules[at], static_cast<std::uint8_t>(length));
        }
        program.push_back(answer(verdict_of(rules[last])));
        if (first == last && rules[last].test == Test::None) return program;
        first = last + 1;
    }
    return Error{Errc::Internal, "filter: call " + std::to_string(rules.front().number) + " ends in a condition"};
}

/// Neighbouring numbers with the same code, as one leaf of the search.
struct Leaf {
    std::uint32_t first;  ///< the leaf reaches to the next one's `first`
    FilterProgram code;
};

bool is_same(const FilterProgram& left, const FilterProgram& right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const auto& a, const auto& b) {
        return a.code == b.code && a.jt == b.jt && a.jf == b.jf && a.k == b.k;
    });
}

void add_leaf(std::vector<Leaf>& leaves, std::uint32_t first, FilterProgram code) {
    if (!leaves.empty() && is_same(leaves.back().code, code)) return;
    leaves.push_back({first, std::move(code)});
}

/// Bisection over `leaves`; the number is in the accumulator.
FilterProgram compile_search(std::span<const Leaf> leaves) {
    if (leaves.size() == 1) return leaves.front().code;
    const std::size_t middle = leaves.size() / 2;
    const FilterProgram low = compile_search(leaves.first(middle));
    const FilterProgram high = compile_search(leaves.subspan(middle));
    // Conditional jumps reach 255 instructions only, so the far side is reached by an unconditional one.
    FilterProgram program;
    program.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, leaves[middle].first, 0, 1));
    program.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(low.size())));
    program.insert(program.end(), low.begin(), low.end());
    program.insert(program.end(), high.begin(), high.end());
    return program;
}

std::uint32_t audit_architecture(Architecture architecture) {
    return architecture == Architecture::X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64;
}

Result<int> install(std::span<const sock_filter> program, unsigned long flags) {
    const sock_fprog compiled{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
    const long installed = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &compiled);
    if (installed >= 0) return static_cast<int>(installed);
    Error error = io_error("install the system-call filter");
    if (error.sys_errno == ENOSYS) error.code = Errc::Unsupported;
    return error;
}

}  // namespace

Architecture native_architecture() {
#if defined(__x86_64__)
    return Architecture::X86_64;
#elif defined(__aarch64__)
    return Architecture::Arm64;
#else
#error "Sanctum knows the system calls of x86-64 and arm64 only"
#endif
}

Result<FilterProgram> compile_filter(std::span<const CallRule> rules, int error_of_unknown,
                                     Architecture architecture) {
    std::vector<CallRule> sorted(rules.begin(), rules.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const CallRule& left, const CallRule& right) { return left.number < right.number; });

    const FilterProgram unknown{
        answer(SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error_of_unknown) & SECCOMP_RET_DATA))};
    std::vector<Leaf> leaves{{0, unknown}};
    for (std::size_t first = 0; first < sorted.size();) {
        std::size_t end = first;
        while (end < sorted.size() && sorted[end].number == sorted[first].number) ++end;
        SANCTUM_TRY(FilterProgram code, compile_number(std::span(sorted).subspan(first, end - first)));
        const auto number = static_cast<std::uint32_t>(sorted[first].number);
        if (number == 0) leaves.clear();
        add_leaf(leaves, number, std::move(code));
        if (end == sorted.size() || static_cast<std::uint32_t>(sorted[end].number) != number + 1) {
            add_leaf(leaves, number + 1, unknown);
        }
        first = end;
    }

    FilterProgram program;
    program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
    program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, audit_architecture(architecture), 1, 0));
    program.push_back(answer(SECCOMP_RET_KILL_PROCESS));
    program.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    const FilterProgram search = compile_search(leaves);
    program.insert(program.end(), search.begin(), search.end());
    if (program.size() > BPF_MAXINSNS) return Error{Errc::Internal, "filter: longer than the kernel takes"};
    return program;
}

Status install_filter(std::span<const sock_filter> program) {
    SANCTUM_TRY([[maybe_unused]] const int installed, install(program, 0));
    return {};
}

Result<UniqueFd> install_filter_with_listener(std::span<const sock_filter> program) {
    Result<int> listener = install(program, SECCOMP_FILTER_FLAG_NEW_LISTENER | kWaitKillableReceive);
    if (!listener && listener.error().sys_errno == EINVAL) {
        listener = install(program, SECCOMP_FILTER_FLAG_NEW_LISTENER);
    }
    if (!listener) return std::move(listener).error();
    return UniqueFd(*listener);
}

}  // namespace sanctum
