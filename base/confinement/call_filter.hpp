// SPDX-License-Identifier: Apache-2.0
// From a list of rules about system calls to the classic BPF program that the kernel runs for each of them.
//
// The program checks the architecture first, finds the number by bisection and then walks the rules of that number in
// order. Numbers without a rule get one answer. Arguments are compared in their low 32 bits only: the kernel truncates
// the arguments in question, so a comparison of all 64 could be walked around with a high bit.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <linux/filter.h>
#include <span>
#include <vector>

namespace sanctum {

/// What happens to a call by number (and argument test). Rules of one number count in their order: the first whose test
/// holds decides. A rule `Also` decides nothing: when its test fails, the next rule is skipped. The last rule of a
/// number must be unconditional.
struct CallRule {
    int number;
    enum class Action : std::uint8_t { Allow, Errno, Notify, Also } action;
    int error;     ///< Errno
    int argument;  ///< 0..5, -1: none
    enum class Test : std::uint8_t { None, Equal, MaskedEqual, MaskedNotEqual, Below } test;
    std::uint64_t mask;   ///< low 32 bits count
    std::uint64_t value;  ///< low 32 bits count
    const char* reason;
};

/// Machine architectures a filter can be made for; see AUDIT_ARCH_* in linux/audit.h.
enum class Architecture : std::uint8_t { X86_64, Arm64 };
[[nodiscard]] Architecture native_architecture();

using FilterProgram = std::vector<sock_filter>;

/// Compiles `rules` for `architecture`. `error_of_unknown`: errno of every number without a rule. A foreign
/// architecture
/// kills the process. Pure. Errors: Internal (a number whose last rule is conditional, a program above BPF_MAXINSNS).
[[nodiscard]] Result<FilterProgram> compile_filter(std::span<const CallRule> rules, int error_of_unknown,
                                                   Architecture architecture);

/// Installs a program for the calling thread and its children; no_new_privs must be set. seccomp(2).
/// Errors: Unsupported (no seccomp), Io.
[[nodiscard]] Status install_filter(std::span<const sock_filter> program);

/// The same with a listener for the calls that the program marks Notify; notified calls can only be interrupted by
/// fatal
/// signals where the kernel knows that (5.19). Errors: as install_filter; Io EBUSY when a listener is already there.
[[nodiscard]] Result<UniqueFd> install_filter_with_listener(std::span<const sock_filter> program);

}  // namespace sanctum
