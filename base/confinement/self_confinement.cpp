// SPDX-License-Identifier: Apache-2.0
#include "base/confinement/self_confinement.hpp"

#include "base/confinement/call_filter.hpp"
#include "base/confinement/landlock.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum {
namespace {

constexpr int kSetVma = 0x53564d41;  // PR_SET_VMA, kernel 5.17: glibc and sanitizers name their mappings

// prctl does a hundred things; a process that is taken over must not make itself dumpable again.
constexpr CallRule kNarrowedCalls[] = {
    {SYS_prctl, CallRule::Action::Allow, 0, 0, CallRule::Test::Equal, 0, PR_SET_NAME, "names of threads"},
    {SYS_prctl, CallRule::Action::Allow, 0, 0, CallRule::Test::Equal, 0, kSetVma, "names of mappings"},
    {SYS_prctl, CallRule::Action::Allow, 0, 0, CallRule::Test::Equal, 0, PR_GET_DUMPABLE, "leak checkers ask"},
    {SYS_prctl, CallRule::Action::Errno, EPERM, -1, CallRule::Test::None, 0, 0, "nothing else of prctl"},
};

// What would send signals to any process of the same user: who may end the launcher decides how a mission ends.
// Landlock's scope is no way: init must reach the agent's processes, which are in no domain of its own.
constexpr CallRule refused_use(int number, std::uint64_t use, const char* reason) {
    return {number, CallRule::Action::Errno, EPERM, 1, CallRule::Test::Equal, 0, use, reason};
}
constexpr CallRule kRefusedUses[] = {
    refused_use(SYS_fcntl, F_SETOWN, "signals for a descriptor go to nobody"),
    refused_use(SYS_fcntl, F_SETOWN_EX, "as F_SETOWN"),
    refused_use(SYS_fcntl, F_SETSIG, "nor are they of another kind"),
    refused_use(SYS_ioctl, FIOSETOWN, "as F_SETOWN"),
    refused_use(SYS_ioctl, SIOCSPGRP, "as F_SETOWN"),
};

constexpr int kCapabilityNumberMax = 63;  // two 32-bit words in capset(2)

Status drop_bounding_set() {
    for (int capability = 0; capability <= kCapabilityNumberMax; ++capability) {
        const int held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
        if (held < 0 && errno == EINVAL) return {};  // past the last one this kernel knows
        if (held < 0) return io_error("read the capability bounding set");
        if (held == 1 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
            // Without CAP_SETPCAP the bounding set stays; no_new_privs makes it worthless.
            if (errno == EPERM && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return {};
            return io_error("drop the capability bounding set");
        }
    }
    return {};
}

Status verify_no_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> held{};
    if (::syscall(SYS_capget, &header, held.data()) != 0) return io_error("read the capabilities");
    for (const auto& word : held) {
        if ((word.effective | word.permitted | word.inheritable) != 0) {
            return Error{Errc::NotPermitted, "capabilities are still there after they were dropped"};
        }
    }
    return {};
}

Status enter_landlock(const SelfConfinement& confinement) {
    if (confinement.files == SelfConfinement::FileDomain::None) return {};
    const auto tcp = confinement.tcp == SelfConfinement::Tcp::GiveUp ? LandlockRules::Tcp::GiveUp
                                                                     : LandlockRules::Tcp::Keep;
    // Scopes stay open: init must be able to signal the agent's processes, which are not in its domain.
    SANCTUM_TRY(LandlockRules rules, LandlockRules::create(landlock_abi(), tcp, LandlockRules::Scope::Open));
    for (const AllowedPath& path : confinement.paths) {
        const auto access = path.access == AllowedPath::Access::Read ? LandlockAccess::Read : LandlockAccess::ReadWrite;
        SANCTUM_CHECK(rules.allow(path.path, access));
    }
    return rules.enforce();
}

Status enter_filter(std::span<const AllowedCall> calls) {
    std::vector<CallRule> rules(std::begin(kNarrowedCalls), std::end(kNarrowedCalls));
    const auto self = static_cast<std::uint64_t>(::getpid());
    rules.push_back({SYS_tgkill, CallRule::Action::Allow, 0, 0, CallRule::Test::Equal, 0, self, "abort"});
    rules.push_back({SYS_tgkill, CallRule::Action::Errno, EPERM, -1, CallRule::Test::None, 0, 0, "nobody else"});
    for (const AllowedCall& call : calls) {
        if (call.number == SYS_prctl || call.number == SYS_tgkill) continue;
        for (const CallRule& refused : kRefusedUses) {
            if (refused.number == call.number) rules.push_back(refused);
        }
        rules.push_back({call.number, CallRule::Action::Allow, 0, -1, CallRule::Test::None, 0, 0, call.reason});
    }
    SANCTUM_TRY(const FilterProgram program, compile_filter(rules, EPERM, native_architecture()));
    return install_filter(program);
}

}  // namespace

Status become_undumpable() {
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return io_error("become undumpable");
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_CORE, &none) != 0) return io_error("forbid core files");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return io_error("set no_new_privs");
    return {};
}

Status drop_capabilities() {
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return io_error("clear ambient capabilities");
    SANCTUM_CHECK(drop_bounding_set());
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::array<__user_cap_data_struct, 2> none{};
    if (::syscall(SYS_capset, &header, none.data()) != 0) return io_error("drop capabilities");
    return verify_no_capabilities();
}

Status confine_self(const SelfConfinement& confinement) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return io_error("set no_new_privs");
    SANCTUM_CHECK(drop_capabilities());
    SANCTUM_CHECK(enter_landlock(confinement));
    std::vector<AllowedCall> calls(calls_of_any_process().begin(), calls_of_any_process().end());
    calls.insert(calls.end(), confinement.calls.begin(), confinement.calls.end());
    return enter_filter(calls);
}

}  // namespace sanctum
