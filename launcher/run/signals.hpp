// SPDX-License-Identifier: Apache-2.0
// Signals of the launcher as events: blocked in every thread and read from one descriptor (signalfd(2)).
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <csignal>
#include <optional>

namespace sanctum::launcher {

/// Owns the signalfd. The signals stay blocked until the process ends.
class Signals {
public:
    /// Blocks INT, TERM, HUP, QUIT, USR1, USR2, TSTP, CONT, WINCH and CHLD, which become events, and TTOU, TTIN (so
    /// that giving the terminal back never stops us) and PIPE. Call it before any thread exists. Errors: Io.
    [[nodiscard]] static Result<Signals> block();
    Signals(Signals&&) noexcept = default;
    Signals& operator=(Signals&&) noexcept = default;

    [[nodiscard]] int fd() const { return fd_.get(); }
    /// Number of the next waiting signal, or nullopt.
    [[nodiscard]] std::optional<int> next() const;

    /// For a child of ours between fork and exec: the empty mask that a new program expects.
    /// Async-signal-safe.
    static void reset_in_child();

private:
    explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

/// Stops the launcher's whole process group with `signal` (TSTP, TTIN, TTOU, STOP), as the terminal would have done,
/// and returns when it was continued. Returns at once where the kernel ignores the stop (an orphaned group).
void stop_own_group(int signal);

}  // namespace sanctum::launcher
