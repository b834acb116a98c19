// SPDX-License-Identifier: Apache-2.0
// Landlock rule sets by raw system calls, with our own constants: distributions' headers are older than their kernels.
//
// The rights that a rule set handles are those that the given ABI knows; see landlock(7). What is handled and not
// allowed is refused from enforce() on, for this process and all its children, for ever.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <string>

namespace sanctum {

/// The newest ABI whose rights we know.
inline constexpr std::uint32_t kLandlockAbiMax = 7;

/// The running kernel's Landlock ABI, 0 when it has none or has it switched off.
[[nodiscard]] std::uint32_t landlock_abi();

enum class LandlockAccess : std::uint8_t {
    List,       ///< list folders
    Read,       ///< list folders, read and execute files
    ReadWrite,  ///< everything but making device nodes
};

/// One rule set under construction.
class LandlockRules {
public:
    enum class Tcp : std::uint8_t { Keep, GiveUp };
    enum class Scope : std::uint8_t { Open, Closed };  ///< Closed: no abstract sockets, no signals to outside

    /// Handles every file right of `abi` (at least 1). Errors: Unsupported, Io.
    [[nodiscard]] static Result<LandlockRules> create(std::uint32_t abi, Tcp tcp, Scope scope);

    /// Allows access beneath `path`, which must exist. Errors: NotFound, Io.
    [[nodiscard]] Status allow(const std::string& path, LandlockAccess access);

    /// Enters the domain; no_new_privs must be set. Errors: Io.
    [[nodiscard]] Status enforce() const;

private:
    LandlockRules(UniqueFd rules, std::uint64_t handled) : rules_(std::move(rules)), handled_(handled) {}
    UniqueFd rules_;
    std::uint64_t handled_;
};

}  // namespace sanctum
