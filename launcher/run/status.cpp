// SPDX-License-Identifier: Apache-2.0
#include "launcher/run/status.hpp"

#include "base/wire/archive.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace sanctum::launcher {
namespace {

// Best effort and never blocking for long: one short write per line. A full pipe or a closed reader loses the line.
void write_once(int fd, std::string_view bytes) {
    while (::write(fd, bytes.data(), bytes.size()) < 0 && errno == EINTR) {
    }
}

}  // namespace

Result<StatusLines> StatusLines::open(int fd) {
    if (fd < 0) return StatusLines(-1);
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0) {
        return Error{Errc::InvalidProfile, "--status-fd " + std::to_string(fd) + ": not an open descriptor"};
    }
    if (fd > STDERR_FILENO && ::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) return io_error("--status-fd: fcntl");
    return StatusLines(fd);
}

void StatusLines::started(const std::string& mission, pid_t child) {
    std::string line = "{\"event\":\"started\",\"mission\":";
    wire::append_json_string(line, mission);
    write_line(line + ",\"child-pid\":" + std::to_string(child) + "}\n");
}

void StatusLines::ended(const Ending& ending) {
    write_line("{\"event\":\"ended\",\"exit-code\":" + std::to_string(ending.exit_code) + ",\"reason\":\"" +
               std::string(name_of(ending.reason)) + "\"}\n");
}

void StatusLines::write_line(const std::string& line) {
    if (fd_ >= 0) write_once(fd_, line);
}

Speaker::Speaker(Talk talk)
    : is_talking_(talk == Talk::Verbose || (talk == Talk::Normal && ::isatty(STDERR_FILENO) == 1)) {}

void Speaker::error(std::string_view text) const {
    write_once(STDERR_FILENO, "sanctum-run: " + std::string(text) + "\n");
}

void Speaker::say(std::string_view text) const {
    if (is_talking_) error(text);
}

}  // namespace sanctum::launcher
