// SPDX-License-Identifier: Apache-2.0
#include "vault/poll_loop.hpp"

#include "base/limits.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <vector>

namespace sanctum::vault {

Status PollLoop::wait(const Clock& clock, std::optional<BootTime> deadline) {
    std::vector<pollfd> waits;
    for (const auto& [fd, watched] : watched_) {
        const short events = watched.ready == Ready::Readable ? POLLIN : POLLOUT;
        waits.push_back({fd, events, 0});
    }
    int timeout_ms = -1;
    if (deadline) {
        const std::int64_t left = deadline->ms - clock.boot().ms;
        timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, Milliseconds(kPollPauseMax).count()));
    }
    const int ready = ::poll(waits.data(), waits.size(), timeout_ms);
    if (ready < 0 && errno != EINTR) return io_error("poll");
    if (ready <= 0) return {};
    for (const pollfd& wait : waits) {
        if (wait.revents == 0) continue;
        // Looked up again: an earlier callback of this round may have forgotten it.
        const auto found = watched_.find(wait.fd);
        if (found == watched_.end()) continue;
        const std::function<void()> callback = found->second.on_ready;
        callback();
    }
    return {};
}

}  // namespace sanctum::vault
