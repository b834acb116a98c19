// SPDX-License-Identifier: Apache-2.0
// How a run of sanctum-run ends: the exit codes that scripts rely on, and the reason that goes to --status-fd and the
// ledger.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sanctum::launcher {

inline constexpr int kExitRevoked = 122;
inline constexpr int kExitTimeRanOut = 124;
inline constexpr int kExitSetupFailed = 125;    ///< Sanctum could not set up; nothing was run
inline constexpr int kExitCannotExecute = 126;
inline constexpr int kExitCommandNotFound = 127;
inline constexpr int kExitSignalBase = 128;

/// Why a mission ended; the words of formats 8.
enum class EndReason : std::uint8_t { Exit, Signal, Ttl, Revoked, Lost, Setup };

/// `exit`, `signal`, `ttl`, `revoked`, `lost`, `setup`.
[[nodiscard]] std::string_view name_of(EndReason reason);

/// How a mission ended. `what` is empty for an ordinary end, else one sentence for the operator.
struct Ending {
    EndReason reason = EndReason::Setup;
    int exit_code = kExitSetupFailed;
    std::string what;
};

/// The command ended by itself with `status`.
[[nodiscard]] Ending ended_by_exit(int status);
/// The command was ended by `signal`.
[[nodiscard]] Ending ended_by_signal(int signal);
[[nodiscard]] Ending ended_by_time();
[[nodiscard]] Ending ended_by_revocation(std::string_view why);
/// A part of Sanctum broke while the agent ran; the tree was killed, so 128+SIGKILL.
[[nodiscard]] Ending ended_by_loss(std::string what);
/// `ending`, of a mission whose record could not be sealed for `why`. Nothing proves then what ran, so it is a loss,
/// whatever the command said; where nothing ran it stays what it was.
[[nodiscard]] Ending ended_unsealed(const Ending& ending, std::string_view why);
/// Nothing was run.
[[nodiscard]] Ending failed_to_set_up(std::string what, int exit_code = kExitSetupFailed);

}  // namespace sanctum::launcher
