// SPDX-License-Identifier: Apache-2.0
// Asking a person for a secret: without echo, cancellable, the terminal left as it was found.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "vault/locked_bytes.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace sanctum::vault {

/// Who else may end the asking.
struct PromptLimits {
    std::size_t bytes_max;
    std::chrono::milliseconds timeout;
    int cancel_fd = -1;  ///< readable or closed: give up; -1: nobody
};

/// Writes `prompt` to the terminal `tty` and reads one line from it without echo. Ctrl-C, Ctrl-D on an empty line and
/// `cancel_fd` end it. Errors: Cancelled, Timeout, Limit, Io. See termios(3).
[[nodiscard]] Result<LockedBytes> read_hidden_line(int tty, const std::string& prompt, const PromptLimits& limits);

/// Writes a line of our own to the terminal; failures do not matter.
void tell_terminal(int tty, const std::string& text);

/// This process's terminal. Errors: NotFound (there is none).
[[nodiscard]] Result<UniqueFd> open_terminal();

}  // namespace sanctum::vault
