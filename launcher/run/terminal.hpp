// SPDX-License-Identifier: Apache-2.0
// The controlling terminal as a job-control shell handles it: lent to the agent's process group, taken back when the
// agent stops, given back to whoever had it at the end. No bytes of it are ever read or written here.
#pragma once

#include "base/unique_fd.hpp"

#include <optional>
#include <sys/types.h>
#include <termios.h>

namespace sanctum::launcher {

/// One per run; inert when there is no controlling terminal. Destruction is silent: call give_back() at the end.
class Terminal {
public:
    /// Opens /dev/tty where there is one and remembers its modes.
    [[nodiscard]] static Terminal open();
    /// The same over a given descriptor; for tests.
    [[nodiscard]] static Terminal over(UniqueFd tty);
    Terminal(Terminal&&) noexcept = default;
    Terminal& operator=(Terminal&&) noexcept = default;

    [[nodiscard]] bool is_there() const { return tty_.is_open(); }
    [[nodiscard]] int fd() const { return tty_.get(); }
    /// True while our own process group is in the foreground.
    [[nodiscard]] bool is_ours() const;

    /// The agent stopped: takes the foreground back and restores our modes, keeping the agent's for lend().
    void take_back();
    /// We were continued: if we are in the foreground, gives it and its modes back to the agent's group.
    void lend(pid_t agent_group);

    enum class Modes { Keep, Restore };
    /// The end: the foreground returns to our group if the agent's (or nobody's) has it. `Restore` also puts the modes
    /// back that were found at the start (the agent was killed and could not do it), and drops what it left unread: the
    /// terminal's answers to its questions are no commands for the shell. After an end of its own, what was typed ahead
    /// stays the shell's.
    void give_back(Modes modes);

private:
    explicit Terminal(UniqueFd tty);
    UniqueFd tty_;
    std::optional<termios> ours_;
    std::optional<termios> agents_;
    pid_t agents_group_ = -1;
};

}  // namespace sanctum::launcher
