// SPDX-License-Identifier: Apache-2.0
// The helper's side of CommandRunner: a process of its own with nothing but its socket. Private to command_runner.
#pragma once

#include "vault/sources/command_runner.hpp"

namespace sanctum::vault {

/// vault → helper; in the same datagram follow `word_size` bytes of CommandInput::word, and the input if there is one.
struct CommandRequest {
    std::uint64_t id;  ///< from 1
    std::uint32_t index;
    std::uint32_t has_input;
    std::uint32_t word_size;
};

/// CommandAnswer::id of a notice: the file of command `number` has changed.
inline constexpr std::uint64_t kChangeNotice = 0;

/// helper → vault; followed by `output_size` bytes in the same datagram.
struct CommandAnswer {
    std::uint64_t id;
    std::uint32_t how;
    std::int32_t number;
    std::uint32_t output_size;
};

/// Serves requests on `socket` until it closes; then kills what still runs and leaves the process.
[[noreturn]] void serve_commands(UniqueFd socket, const std::vector<Command>& commands,
                                 std::chrono::milliseconds timeout);

}  // namespace sanctum::vault
