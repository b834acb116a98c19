// SPDX-License-Identifier: Apache-2.0
// PollLoop: the vault's one loop over poll(2). Few descriptors, no timers of its own: the caller says until when.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

namespace sanctum::vault {

/// What a callback waits for. A descriptor that is closed by its peer or broken is ready for both.
enum class Ready : std::uint8_t { Readable, Writable };

/// Calls what was registered for a descriptor when it is ready. Single thread.
class PollLoop {
public:
    /// `fd` is borrowed and must be forgotten before it is closed. One callback per descriptor; the last one counts.
    void watch(int fd, std::function<void()> on_ready, Ready ready = Ready::Readable) {
        watched_[fd] = {std::move(on_ready), ready};
    }
    void forget(int fd) { watched_.erase(fd); }

    /// Waits until something happens or `deadline` (boot time) passes; absent: without end. A callback may watch and
    /// forget. Errors: Io.
    [[nodiscard]] Status wait(const Clock& clock, std::optional<BootTime> deadline);

private:
    struct Watched {
        std::function<void()> on_ready;
        Ready ready = Ready::Readable;
    };
    std::map<int, Watched> watched_;
};

}  // namespace sanctum::vault
