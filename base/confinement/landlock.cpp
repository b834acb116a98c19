// SPDX-License-Identifier: Apache-2.0
#include "base/confinement/landlock.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sanctum {
namespace {

// Layout and numbers of the kernel's linux/landlock.h up to ABI 7.
struct RulesetAttribute {
    std::uint64_t handled_files;
    std::uint64_t handled_tcp;  // since ABI 4
    std::uint64_t scoped;       // since ABI 6
};
struct [[gnu::packed]] PathBeneath {
    std::uint64_t allowed;
    std::int32_t parent;
};

constexpr int kRulePathBeneath = 1;
constexpr unsigned kQueryVersion = 1;

constexpr std::uint64_t kExecute = 1 << 0;
constexpr std::uint64_t kWriteFile = 1 << 1;
constexpr std::uint64_t kReadFile = 1 << 2;
constexpr std::uint64_t kReadFolder = 1 << 3;
constexpr std::uint64_t kMakeCharacterDevice = 1 << 6;
constexpr std::uint64_t kMakeBlockDevice = 1 << 11;
constexpr std::uint64_t kTruncate = 1 << 14;
constexpr std::uint64_t kDeviceControl = 1 << 15;
constexpr std::uint64_t kRightsOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kDeviceControl;

constexpr std::uint64_t kBindAndConnect = 3;
constexpr std::uint64_t kAbstractSocketsAndSignals = 3;

std::uint64_t file_rights(std::uint32_t abi) {
    if (abi >= 5) return (1 << 16) - 1;  // + ioctl on devices
    if (abi >= 3) return (1 << 15) - 1;  // + truncate
    if (abi >= 2) return (1 << 14) - 1;  // + refer
    return (1 << 13) - 1;
}

std::size_t attribute_size(std::uint32_t abi) {
    if (abi >= 6) return sizeof(RulesetAttribute);
    return abi >= 4 ? 2 * sizeof(std::uint64_t) : sizeof(std::uint64_t);
}

std::uint64_t rights_of(LandlockAccess access) {
    switch (access) {
        case LandlockAccess::List: return kReadFolder;
        case LandlockAccess::Read: return kReadFolder | kReadFile | kExecute;
        case LandlockAccess::ReadWrite: return ~(kMakeCharacterDevice | kMakeBlockDevice);
    }
    return 0;
}

}  // namespace

std::uint32_t landlock_abi() {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kQueryVersion);
    return version < 0 ? 0 : std::min(static_cast<std::uint32_t>(version), kLandlockAbiMax);
}

Result<LandlockRules> LandlockRules::create(std::uint32_t abi, Tcp tcp, Scope scope) {
    if (abi == 0) {
        return Error{Errc::Unsupported, "landlock: not available (kernel without it, or not named in lsm= at boot)"};
    }
    RulesetAttribute attribute{};
    attribute.handled_files = file_rights(abi);
    if (abi >= 4 && tcp == Tcp::GiveUp) attribute.handled_tcp = kBindAndConnect;
    if (abi >= 6 && scope == Scope::Closed) attribute.scoped = kAbstractSocketsAndSignals;
    const long rules = ::syscall(SYS_landlock_create_ruleset, &attribute, attribute_size(abi), 0);
    if (rules < 0) return io_error("landlock: create the rule set");
    return LandlockRules(UniqueFd(static_cast<int>(rules)), attribute.handled_files);
}

Status LandlockRules::allow(const std::string& path, LandlockAccess access) {
    const UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!place) {
        Error error = io_error("landlock: open " + path);
        if (error.sys_errno == ENOENT) error.code = Errc::NotFound;
        return error;
    }
    struct stat status {};
    if (::fstat(place.get(), &status) != 0) return io_error("landlock: stat " + path);
    std::uint64_t rights = rights_of(access) & handled_;
    if (!S_ISDIR(status.st_mode)) rights &= kRightsOfFiles;
    const PathBeneath rule{rights, place.get()};
    if (::syscall(SYS_landlock_add_rule, rules_.get(), kRulePathBeneath, &rule, 0) != 0) {
        return io_error("landlock: allow " + path);
    }
    return {};
}

Status LandlockRules::enforce() const {
    if (::syscall(SYS_landlock_restrict_self, rules_.get(), 0) != 0) return io_error("landlock: enter the domain");
    return {};
}

}  // namespace sanctum
