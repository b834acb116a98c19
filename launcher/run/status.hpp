// SPDX-License-Identifier: Apache-2.0
// What sanctum-run tells the outside: JSON lines on --status-fd, and lines on stderr for the person before it.
#pragma once

#include "base/result.hpp"
#include "launcher/run/exit_codes.hpp"
#include "launcher/run/options.hpp"

#include <string>
#include <string_view>
#include <sys/types.h>

namespace sanctum::launcher {

/// Writes to the descriptor of --status-fd (formats 8). Without one all calls do nothing. A reader that went away is
/// no reason to end a mission, so failed writes are ignored.
class StatusLines {
public:
    /// Checks the descriptor and makes it close-on-exec. Errors: InvalidProfile (not an open descriptor).
    [[nodiscard]] static Result<StatusLines> open(int fd);
    void started(const std::string& mission, pid_t child);
    void ended(const Ending& ending);

private:
    explicit StatusLines(int fd) : fd_(fd) {}
    void write_line(const std::string& line);
    int fd_;
};

/// Lines for a person: errors always; the rest only on a terminal or with -v, never with -q. Never stdout.
class Speaker {
public:
    explicit Speaker(Talk talk);
    /// `sanctum-run: TEXT`; shown always. `text` may have several lines.
    void error(std::string_view text) const;
    /// `sanctum-run: TEXT`, where lines are wanted.
    void say(std::string_view text) const;

private:
    bool is_talking_;
};

}  // namespace sanctum::launcher
