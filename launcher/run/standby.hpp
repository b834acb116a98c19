// SPDX-License-Identifier: Apache-2.0
// Standby: a small forked child that waits idle for the two cases in which the launcher itself cannot start a program:
// it is confined already (the vault died and its leases must be ended), or it was killed (everything must be ended).
//
// It execs nothing before that, holds no descriptor but one socket, and leaves at once after dismiss().
#pragma once

#include "base/places.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <map>
#include <string>
#include <sys/types.h>

namespace sanctum::launcher {

class Standby {
public:
    /// Forks the child. Call it single-threaded. If our end closes without dismiss(), the launcher was killed, and the
    /// child becomes `sanctum reap --background`. Errors: Io.
    [[nodiscard]] static Result<Standby> start(const Places& places, const std::string& mission,
                                               const std::map<std::string, std::string>& environment);
    Standby(Standby&&) noexcept = default;
    Standby& operator=(Standby&&) noexcept = default;

    /// The child becomes `sanctum-vault reap --json --mission ID`; returns what it printed (JSON Lines), as much as
    /// came within `timeout`. Once. Errors: Io, Timeout, Limit.
    [[nodiscard]] Result<std::string> reap_leases(std::chrono::milliseconds timeout);

    /// Starts `sanctum reap --background` besides, for what earlier missions left unfinished. Errors: Io.
    [[nodiscard]] Status reap_earlier_missions();

    /// Everything has its end; the child leaves and is reaped. Idempotent.
    void dismiss();

private:
    Standby(UniqueFd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
    UniqueFd socket_;
    pid_t pid_ = -1;
};

}  // namespace sanctum::launcher
