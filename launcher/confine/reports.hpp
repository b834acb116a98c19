// SPDX-License-Identifier: Apache-2.0
// The small fixed records that launcher, init and held agent exchange over two socket pairs, with descriptors.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace sanctum::launcher {

/// One datagram. `what` is an InitEvent::What, an InitOrder or one of the set-up words below.
struct Report {
    std::uint8_t what = 0;
    std::int32_t value = 0;
    std::string step;
    std::vector<UniqueFd> descriptors;
    pid_t sender = -1;  ///< in the receiver's pid namespace, where the socket passes credentials
};

/// Words of the set-up; above every InitEvent::What.
inline constexpr std::uint8_t kReportGoOn = 0x80;       ///< launcher → init: ids are mapped, the group is joined
inline constexpr std::uint8_t kReportHeld = 0x81;       ///< init → launcher with the sockets; agent → launcher
inline constexpr std::uint8_t kReportRelease = 0x82;    ///< launcher → agent with the files to be written
inline constexpr std::uint8_t kReportConfined = 0x83;   ///< agent → launcher with the filter's listener, if any

/// A connected SOCK_SEQPACKET pair, close-on-exec; the first end is the launcher's.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> make_report_pair();

/// Sends one record; descriptors are borrowed. Errors: Io.
[[nodiscard]] Status send_report(int socket, std::uint8_t what, std::int32_t value, const std::string& step = {},
                                 std::span<const int> descriptors = {});

/// The next record, or nullopt when none is waiting and the socket does not block (or `flags` has MSG_DONTWAIT).
/// Errors: Cancelled (peer closed), Protocol, Io.
[[nodiscard]] Result<std::optional<Report>> receive_report(int socket, int flags = 0);

/// Waits for a record. Errors: as above, and Timeout.
[[nodiscard]] Result<Report> await_report(int socket, std::chrono::milliseconds timeout);

}  // namespace sanctum::launcher
